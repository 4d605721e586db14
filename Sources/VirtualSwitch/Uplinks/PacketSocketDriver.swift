// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// A packet socket on an interface of the host: its wire is the way out, as in a small Linux whose network card leads
/// outside. The host itself does not see what is sent here.
final class PacketSocketDriver: FrameDriver {
  private let name: String
  private let table = DescriptorTable()

  init(_ name: String) { self.name = name }

  var detail: String { "interface \(name)" }
  let capabilities = PortCapabilities.virtioNet
  var comesBack: Bool { true }

  func open() throws(SwitchError) -> [Int32] {
    let number = unsafe clinux_packet_open(name)
    switch -number {
    case ..<1: break
    case ENODEV: throw .noSuchInterface(name)
    case EPERM, EACCES:
      throw .notPermitted(
        "the network interface \(name)", remedy: "run as root, or with the capability CAP_NET_RAW, or use passt")
    default: throw .system(SystemError("packet socket", name, error: -number))
    }
    guard unsafe clinux_interface_is_up(name) == 1 else {
      Glibc.close(number)
      throw .system(SystemError("packet socket", name, error: ENETDOWN))
    }
    table.open([number])
    return [number]
  }

  func close() { table.close() }

  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    for _ in 0..<DriverRunner.burst {
      var tag: Int32 = -1
      let got = table.with(queue: queue) { descriptor in
        var piece = unsafe iovec(iov_base: room.baseAddress, iov_len: room.count)
        return unsafe clinux_packet_receive(descriptor, &piece, 1, &tag)
      }
      guard let got else { return .gone("closed") }
      switch -Int32(got) {
      case EAGAIN: return .empty
      case EINTR, EMSGSIZE, EPROTONOSUPPORT: continue
      case 1...: return .gone(SystemError.message(Int32(-got)))
      default: break
      }
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<got])
      guard let header = unsafe VirtioNetHeader(decoding: bytes.bytes) else { continue }
      let frame = unsafe UnsafeRawBufferPointer(rebasing: bytes[VirtioNetHeader.wireSize...])
      let beside = tag < 0 ? nil : VLANTag(rawValue: UInt16(truncatingIfNeeded: tag))
      unsafe FrameView.over(frame, tag: beside, offloads: header.offloads, take)
    }
    return .more
  }

  func transmit(_ frame: FrameView) -> Bool {
    let header = VirtioNetHeader(frame.offloads).bytes
    let sent = table.with(flow: 0) { descriptor in
      unsafe withUnsafeBytes(of: header) { header in
        unsafe frame.prefixed(header) { pieces in
          unsafe clinux_send(descriptor, pieces.baseAddress, Int32(pieces.count)) >= 0
        }
      }
    }
    return sent ?? false
  }
}
