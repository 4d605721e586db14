// SPDX-License-Identifier: Apache-2.0

/// The line that is drawn over and over while a file is copied.
public struct CopyProgress: Sendable {
  public let byteCount: UInt64

  public init(byteCount: UInt64) { self.byteCount = byteCount }

  public func line(copied: UInt64, seconds: Double) -> String {
    let share = byteCount == 0 ? 100 : Int(Double(min(copied, byteCount)) / Double(byteCount) * 100)
    let padded = String(repeating: " ", count: max(0, 3 - String(share).count)) + "\(share)"
    var line = "\(padded) %  \(Quantity.bytes(copied)) of \(Quantity.bytes(byteCount))"
    guard seconds >= 1 else { return line }
    let rate = Double(copied) / seconds
    line += "  \(Quantity.bytes(UInt64(rate)))/s"
    if rate > 0, copied < byteCount { line += "  \(Quantity.duration(Double(byteCount - copied) / rate)) left" }
    return line
  }
}
