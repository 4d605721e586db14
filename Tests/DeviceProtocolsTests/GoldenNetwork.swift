// SPDX-License-Identifier: Apache-2.0

/// Messages as Linux lays them out: written by a C program, compiled by gcc 12 for x86-64, that fills the structures of
/// drivers/net/hyperv/hyperv_net.h of Debian's linux-source-6.1 (6.1.192; 6.12.117 has the same) and dumps them.
enum GoldenNetwork {
  static let initialize = Golden(size: 40, runs: [(0, "01000000 01000600 010006")])
  static let initializeComplete = Golden(size: 40, runs: [(0, "02000000 01000600 22000000 01")])
  static let ndisVersion = Golden(size: 40, runs: [(0, "64000000 06000000 1e")])
  static let receiveBuffer = Golden(size: 40, runs: [(0, "65000000 101e0e00 feca")])
  static let receiveBufferComplete = Golden(
    size: 40,
    runs: [
      (
        0,
        """
        66000000 01000000 01000000 00000000 c0060000 ed250000 c0ffff
        """
      )
    ])
  static let revokeReceiveBuffer = Golden(size: 40, runs: [(0, "67000000 feca")])
  static let sendBuffer = Golden(size: 40, runs: [(0, "68000000 111e0e")])
  static let sendBufferComplete = Golden(size: 40, runs: [(0, "69000000 01000000 0018")])
  static let revokeSendBuffer = Golden(size: 40, runs: [(0, "6a000000 cefa")])
  static let packet = Golden(size: 40, runs: [(0, "6b000000 01000000 04030201 0d0c0b0a")])
  static let packetComplete = Golden(size: 40, runs: [(0, "6c000000 05")])
  static let configuration = Golden(size: 40, runs: [(0, "7d000000 ea050000 00000000 ac")])
  static let virtualFunction = Golden(size: 40, runs: [(0, "80000000 01000000 05")])
  static let switchDataPath = Golden(size: 40, runs: [(0, "81000000 01")])
  static let requestSubChannels = Golden(size: 40, runs: [(0, "85000000 01000000 03")])
  static let subChannels = Golden(size: 40, runs: [(0, "85000000 01000000 03")])
  static let sendTable = Golden(
    size: 104,
    runs: [
      (
        0,
        """
        86000000 10000000 28000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
        00000000 01000000 02000000 00000000 01000000 02000000 00000000 01000000 02000000 00000000 \
        01000000 02000000 00000000 01000000 02
        """
      )
    ])
  static let rndisInitialize = Golden(size: 24, runs: [(0, "02000000 18000000 07000000 01000000 00000000 0040")])
  static let rndisInitializeComplete = Golden(
    size: 52,
    runs: [
      (
        0,
        """
        02000080 34000000 07000000 00000000 01000000 00000000 01000000 00000000 08000000 00180000 03
        """
      )
    ])
  static let rndisHalt = Golden(size: 12, runs: [(0, "03000000 0c000000 08")])
  static let rndisQuery = Golden(
    size: 32,
    runs: [
      (
        0,
        """
        04000000 20000000 09000000 06010100 04000000 14000000 00000000 abababab
        """
      )
    ])
  static let rndisQueryComplete = Golden(
    size: 28,
    runs: [
      (
        0,
        """
        04000080 1c000000 09000000 00000000 04000000 10000000 cdcdcdcd
        """
      )
    ])
  static let rndisSet = Golden(
    size: 32,
    runs: [
      (
        0,
        """
        05000000 20000000 0a000000 0e010100 04000000 14000000 00000000 0d
        """
      )
    ])
  static let rndisSetComplete = Golden(size: 16, runs: [(0, "05000080 10000000 0a000000 bb0000c0")])
  static let rndisResetComplete = Golden(size: 16, runs: [(0, "06000080 10000000 00000000 01")])
  static let rndisIndicate = Golden(size: 24, runs: [(0, "07000000 18000000 13000140 04000000 0c000000 11111111")])
  static let rndisKeepAlive = Golden(size: 12, runs: [(0, "08000000 0c000000 0b")])
  static let rndisKeepAliveComplete = Golden(size: 16, runs: [(0, "08000080 10000000 0b")])
  static let rndisPacket = Golden(
    size: 124,
    runs: [
      (
        0,
        """
        01000000 b8000000 74000000 3c000000 00000000 00000000 00000000 24000000 50000000 00000000 \
        00000000 10000000 00000000 0c000000 15002200 10000000 02000000 0c000000 a00560c3 10000000 \
        06000000 0c000000 3d120000 10000000 08000000 0c000000 efbeadde 10000000 01000080 0c000000 \
        01052143
        """
      )
    ])
  static let receiveChecksum = Golden(size: 4, runs: [(0, "a8")])
  static let offload = Golden(
    size: 156,
    runs: [
      (
        0,
        """
        a7039c00 02000000 55010000 02000000 55010000 02000000 55000000 02000000 55000000 00000000 \
        00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
        02000000 ffff0000 02000000 02000000 ffff0000 02000000 05000000 00000000 00000000 00000000 \
        00000000 00000000 00000000 00000000 00000000 00000000 0101
        """
      )
    ])
  static let offloadParameters = Golden(
    size: 28,
    runs: [
      (
        0,
        """
        80031c00 01040203 04010002 01000000 00000000 00000201
        """
      )
    ])
  static let scaleCapabilities = Golden(size: 18, runs: [(0, "88021200 01030000 01000000 04000000 80")])
  static let scaleParameters = Golden(
    size: 40,
    runs: [
      (
        0,
        """
        89022800 00000000 01170000 00020000 28000000 28000000 2802
        """
      )
    ])
  static let configParameter = Golden(size: 20, runs: [(0, "14000000 1c000000 02000000 30000000 18")])
}
