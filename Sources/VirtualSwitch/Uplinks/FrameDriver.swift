// SPDX-License-Identifier: Apache-2.0

/// Frames through descriptors: a TAP device, a packet socket, passt, another process.
///
/// `open`, `close` and `receive` are called on the threads of its `DriverRunner`, `transmit` on any thread.
protocol FrameDriver: AnyObject, Sendable {
  /// What it leads to, for people.
  var detail: String { get }
  var capabilities: PortCapabilities { get }
  /// Whether it can be opened again when it ended.
  var comesBack: Bool { get }

  /// One descriptor for each queue; the driver owns them until `close`.
  func open() throws(SwitchError) -> [Int32]
  func close()

  /// Reads what is there, up to `DriverRunner.burst` frames, and hands it on. `room` is the queue's own memory, whose first
  /// `carried` bytes it left there the last time.
  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome

  /// Copies the frame out, without waiting. False: no room.
  func transmit(_ frame: FrameView) -> Bool

  /// Bytes wait for room of the first queue's descriptor; `writeOn` when there is some.
  var hasPending: Bool { get }
  func writeOn()
  /// `wake` is to be called when bytes begin to wait.
  func whenPending(_ wake: @escaping @Sendable () -> Void)
}

extension FrameDriver {
  var hasPending: Bool { false }
  func writeOn() {}
  func whenPending(_ wake: @escaping @Sendable () -> Void) {}
}

enum ReceiveOutcome: Equatable {
  /// Perhaps there is more.
  case more
  case empty
  /// It is over: closed, taken away, or broken.
  case gone(String)
}
