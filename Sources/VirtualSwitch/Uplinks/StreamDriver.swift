// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// A stream of frames that somebody else made: a device to open, or a descriptor.
final class StreamDriver: FrameDriver {
  private let source: FrameStreamSource
  private let stream: FrameStream

  init(_ source: FrameStreamSource) {
    self.source = source
    stream = FrameStream(peer: source.description)
  }

  var detail: String { source.description }
  let capabilities = PortCapabilities.none
  /// The other end went for good.
  var comesBack: Bool { false }

  func whenPending(_ wake: @escaping @Sendable () -> Void) { stream.whenPending(wake) }

  func open() throws(SwitchError) -> [Int32] {
    let descriptor: Descriptor
    do throws(SystemError) {
      switch source {
      case .device(let path): descriptor = try Descriptor.open(path, O_RDWR | O_NONBLOCK)
      case .descriptor(let number):
        let own = fcntl(number, F_DUPFD_CLOEXEC, 0)
        guard own >= 0 else { throw SystemError("dup", source.description) }
        descriptor = Descriptor(owning: own)
        Stream.setNonblocking(own)
      }
    } catch {
      throw .system(error)
    }
    let number = descriptor.take()
    stream.open(number)
    return [number]
  }

  func close() { stream.close() }

  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    unsafe stream.receive(into: room, carried: &carried, take)
  }

  func transmit(_ frame: FrameView) -> Bool { stream.transmit(frame) }
  var hasPending: Bool { stream.hasPending }
  func writeOn() { stream.writeOn() }
}

/// Where a stream of frames comes from.
public enum FrameStreamSource: Hashable, Sendable, CustomStringConvertible {
  /// A character device.
  case device(String)
  /// A socket of this process, which keeps it open.
  case descriptor(Int32)

  public var description: String {
    switch self {
    case .device(let path): path
    case .descriptor(let number): "descriptor \(number)"
    }
  }
}
