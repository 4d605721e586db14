// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import StorageWalk
import VMBus

/// Both ends of an adapter, connected by rings.
public final class NetworkPair {
  public static let address = EthernetAddress(rawValue: 0x0015_5D01_0203)
  public let memory = NetworkPages(frameCount: 512)
  public let host: NetworkHost
  public let guest: NetworkGuest
  public let ringBytes: UInt32

  public init(
    _ configuration: NetworkConfiguration = NetworkConfiguration(address: NetworkPair.address), mtu: UInt32 = 1500,
    subChannels: UInt16 = 0, receivePages: Int = 64, ringBytes: UInt32 = 16384
  ) {
    self.ringBytes = ringBytes
    host = NetworkHost(configuration, memory: memory)
    guest = NetworkGuest(memory: memory, mtu: mtu, subChannels: subChannels, receivePages: receivePages)
  }

  /// Opens the first channel, shares the buffers, and waits until the guest is ready and has opened what it was offered.
  public func connect() -> Bool {
    share()
    open(0)
    settle()
    guard guest.isReady else { return false }
    if host.offered > 0 {
      for index in 1...host.offered { open(index) }
      do throws(NetworkClientFault) { try guest.client.channelsOpened() } catch { return false }
    }
    do throws(NetworkClientFault) {
      try guest.client.setFilter(NetworkPacketFilter.directed.union(.allMulticast).union(.broadcast))
    } catch {
      return false
    }
    guest.pump()
    settle()
    return host.settings?.isReceiving == true
  }

  public func share() {
    host.gpadls[NetworkGuest.receiveGPADL] = NetworkBuffer(frames: guest.receiveFrames)
    host.gpadls[NetworkGuest.sendGPADL] = NetworkBuffer(frames: guest.sendFrames)
  }

  public func open(_ index: UInt16) {
    let rings = RingPair(byteCount: ringBytes)
    host.open(index, rings)
    guest.open(index, rings)
  }

  /// As a guest does it: halt, revoke, close.
  public func closeAll() {
    for index in guest.ports.keys.sorted().reversed() { close(index) }
  }

  public func close(_ index: UInt16) {
    host.close(index)
    guest.close(index)
  }

  /// Both ends work until nothing is left to do.
  public func settle() {
    for _ in 0..<200 {
      var didSomething = false
      for index in host.ports.keys.sorted() {
        didSomething = host.serve(index) || didSomething
        guest.receive(index)
      }
      if !didSomething { return }
    }
  }
}
