// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// A capture of frames to a pcapng file, which tcpdump and Wireshark read. Frames are put into memory by whoever records
/// them; a thread writes that to the file. When the file is slower than the frames, frames are left out and counted.
public final class PacketCapture: Sendable {
  /// Seen from the switch: inbound is what came in at the port.
  public enum Direction: UInt32, Sendable {
    case inbound = 1
    case outbound = 2
  }

  /// What waits for the file, at most.
  static let maximumPending = 8 << 20
  public static let defaultSnapLength = 262_144

  private struct State {
    var pending: [UInt8]
    var interfaces: UInt32 = 0
    var frames: UInt64 = 0
    var left: UInt64 = 0
    var failure: String?
    var isOver = false
  }

  public let path: String
  public let snapLength: Int
  private let state: Mutex<State>
  private let file: Descriptor
  private let wake: EventDescriptor
  private let thread = Mutex<DedicatedThread?>(nil)

  /// Creates the file, or empties it.
  public init(_ path: String, snapLength: Int = PacketCapture.defaultSnapLength) throws(SwitchError) {
    guard (64...Self.defaultSnapLength).contains(snapLength) else {
      throw .captureFailed("a snap length of \(snapLength) is outside 64–\(Self.defaultSnapLength)")
    }
    self.path = path
    self.snapLength = snapLength
    do throws(SystemError) {
      file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC)
      wake = try EventDescriptor(blocking: true)
    } catch {
      throw .captureFailed("\(error)")
    }
    state = Mutex(State(pending: CaptureFormat.sectionHeader))
    do throws(SystemError) {
      let thread = try DedicatedThread(name: "capture") { self.write() }
      self.thread.withLock { $0 = thread }
    } catch {
      throw .captureFailed("\(error)")
    }
  }

  /// Announces a port. Its number stands before its frames.
  public func addInterface(_ name: String) -> UInt32 {
    state.withLock { state in
      state.pending += CaptureFormat.interface(name, snapLength: snapLength)
      state.interfaces += 1
      return state.interfaces - 1
    }
  }

  /// The frame as it is on the port's wire: a tag beside it is put into its bytes.
  public func record(_ frame: FrameView, on interface: UInt32, _ direction: Direction) {
    let time = clinux_realtime()
    if let tag = frame.tag, unsafe frame.header.count >= 12 {
      FrameDelivery.apply(.insert(tag), to: frame) { append($0, interface, direction, time) }
    } else {
      append(frame, interface, direction, time)
    }
  }

  private func append(_ frame: FrameView, _ interface: UInt32, _ direction: Direction, _ time: UInt64) {
    let isFirst = state.withLock { state in
      guard !state.isOver, state.failure == nil else { return false }
      let count = min(frame.byteCount, snapLength)
      guard state.pending.count + count + 64 <= Self.maximumPending else {
        state.left += 1
        return false
      }
      let wasEmpty = state.pending.isEmpty
      CaptureFormat.packet(frame, count, interface, direction.rawValue, time, &state.pending)
      state.frames += 1
      return wasEmpty
    }
    if isFirst { wake.signal() }
  }

  public var report: CaptureReport {
    state.withLock { CaptureReport(path: path, frames: $0.frames, leftOut: $0.left, failure: $0.failure) }
  }

  /// Writes what is left and closes the file.
  @discardableResult
  public func stop() -> CaptureReport {
    state.withLock { $0.isOver = true }
    wake.signal()
    thread.withLock { $0 }?.join()
    return report
  }

  private func write() {
    while true {
      let (bytes, isOver) = state.withLock { state in
        let bytes = state.pending
        state.pending = []
        return (bytes, state.isOver)
      }
      do throws(SystemError) {
        if !bytes.isEmpty { try Stream.writeAll(file.number, bytes) }
      } catch {
        state.withLock { $0.failure = "\(error)" }
        return
      }
      if isOver, bytes.isEmpty { return }
      if !isOver, bytes.isEmpty { wake.wait() }
    }
  }
}
