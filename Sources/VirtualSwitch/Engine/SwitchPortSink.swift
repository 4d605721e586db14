// SPDX-License-Identifier: Apache-2.0

/// The receiving end of a port: an adapter of this process, or a way out.
///
/// Called on the threads of whoever sends, several at once, while they read the switch's wiring: it must copy the frame,
/// must not wait for anything slow, and must not call the engine or a port (it may keep work for later). `sender` tells
/// threads that send at once from each other: small numbers, so that something of their own can be kept for them.
public protocol SwitchPortSink: AnyObject, Sendable {
  /// Copies the frame. False: there is no room, or nobody to take it; the switch counts a drop.
  func accept(_ frame: FrameView, from sender: Int) -> Bool

  /// The sender has nothing more for now: the time to signal a guest, once for many frames.
  func endBurst(from sender: Int)
}
