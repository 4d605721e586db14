// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// A TAP device: an interface of the host whose other end is here.
final class TAPDriver: FrameDriver {
  private let name: String
  private let queues: Int
  private let creates: Bool
  /// The MTU to set on a device that it made itself.
  private let payload: Int
  private let table = DescriptorTable()

  /// `creates`: makes the device, which goes away with its last queue.
  init(_ name: String, queues: Int, creates: Bool, payload: Int) {
    self.name = name
    self.queues = max(1, min(queues, 16))
    self.creates = creates
    self.payload = payload
  }

  var detail: String { "tap \(name)" }
  let capabilities = PortCapabilities.virtioNet
  var comesBack: Bool { true }

  /// TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN: what the kernel may leave to whoever reads.
  private static let offloads = UInt32(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

  func open() throws(SwitchError) -> [Int32] {
    let existed = unsafe clinux_interface_index(name) > 0
    if existed, !isTAP { throw .notATAP(name) }
    if existed, carrier == true { throw .interfaceBusy(name) }
    var numbers: [Int32] = []
    for queue in 0..<queues {
      let number = unsafe clinux_tap_open(name, creates ? 1 : 0, Self.offloads)
      // A device with one queue has no second one: it does with one.
      if number < 0, queue > 0 { break }
      guard number >= 0 else { throw error(-number) }
      numbers.append(number)
    }
    if creates, !existed {
      _ = unsafe clinux_interface_set_mtu(name, Int32(payload))
      _ = unsafe clinux_interface_set_up(name)
    }
    table.open(numbers)
    return numbers
  }

  func close() { table.close() }

  /// As far as /sys tells.
  private var isTAP: Bool {
    unsafe access("/sys/class/net/\(name)", F_OK) != 0 || access("/sys/class/net/\(name)/tun_flags", F_OK) == 0
  }

  /// Whether somebody holds a queue of it, where that can be seen: only while the device is up.
  private var carrier: Bool? {
    guard let file = try? Descriptor.open("/sys/class/net/\(name)/carrier", O_RDONLY) else { return nil }
    var byte: UInt8 = 0
    guard unsafe read(file.number, &byte, 1) == 1 else { return nil }
    return byte == UInt8(ascii: "1")
  }

  private func error(_ code: Int32) -> SwitchError {
    switch code {
    case ENODEV: .noSuchInterface(name)
    case EINVAL: .notATAP(name)
    case EBUSY: .interfaceBusy(name)
    case EPERM, EACCES:
      .notPermitted(
        "the TAP device \(name)",
        remedy: "let root make it yours: `ip tuntap add \(name) mode tap multi_queue user $USER`")
    case ENOENT, ENXIO: .notPermitted("/dev/net/tun", remedy: "load the kernel's module: `modprobe tun`")
    default: .system(SystemError("TAP device", name, error: code))
    }
  }

  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    for _ in 0..<DriverRunner.burst {
      let got = table.with(queue: queue) { descriptor in
        let count = unsafe read(descriptor, room.baseAddress, room.count)
        return count < 0 ? -Int(errno) : count
      }
      guard let got else { return .gone("closed") }
      if got == -Int(EAGAIN) { return .empty }
      if got == -Int(EINTR) { continue }
      guard got >= 0 else { return .gone(SystemError.message(Int32(-got))) }
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<got])
      guard let header = unsafe VirtioNetHeader(decoding: bytes.bytes) else { continue }
      let frame = unsafe UnsafeRawBufferPointer(rebasing: bytes[VirtioNetHeader.wireSize...])
      unsafe FrameView.over(frame, tag: nil, offloads: header.offloads, take)
    }
    return .more
  }

  func transmit(_ frame: FrameView) -> Bool {
    let header = VirtioNetHeader(frame.offloads).bytes
    let sent = table.with(flow: frame.flow) { descriptor in
      unsafe withUnsafeBytes(of: header) { header in
        unsafe frame.prefixed(header) { pieces in
          unsafe writev(descriptor, pieces.baseAddress, Int32(pieces.count)) >= 0
        }
      }
    }
    return sent ?? false
  }
}
