// SPDX-License-Identifier: Apache-2.0

/// A capture as it stands.
public struct CaptureReport: Hashable, Sendable {
  public let path: String
  public let frames: UInt64
  /// Frames for which there was no room because the file was slow.
  public let leftOut: UInt64
  /// Why nothing is written any more.
  public let failure: String?
}
