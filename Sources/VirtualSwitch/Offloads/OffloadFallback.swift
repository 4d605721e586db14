// SPDX-License-Identifier: Apache-2.0

/// Does in software what a receiver does not take: finishes checksums, cuts large frames. One for each sending thread; its
/// memory, two frames' worth, is made when it is first needed.
final class OffloadFallback {
  private var frame: [UInt8] = []
  private var segment: [UInt8] = []

  /// `nil`: delivered. Of a segmented frame the first refused segment ends the delivery.
  func deliver(_ view: FrameView, to sink: any SwitchPortSink, _ capabilities: PortCapabilities) -> DropReason? {
    guard view.byteCount <= Switch.maximumFrame + 4 else { return .malformed }
    if frame.isEmpty { frame = [UInt8](repeating: 0, count: Switch.maximumFrame + 4) }
    unsafe frame.withUnsafeMutableBytes { _ = unsafe view.copy(to: $0) }
    return .unsupportedOffload
  }
}
