// SPDX-License-Identifier: Apache-2.0

/// Where a disk is: its SCSI controller and the logical unit on it. People write `0:1`.
public struct DiskAddress: Hashable, Sendable, CustomStringConvertible {
  /// Hyper-V's limits.
  public static let controllers = 0...3
  public static let luns = 0...63

  public var controller: Int
  public var lun: Int

  public init(controller: Int, lun: Int) {
    self.controller = controller
    self.lun = lun
  }

  /// `nil` for what is not two numbers in range.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    self.init(controller: parts[0], lun: parts[1])
  }

  public init?(controller: some StringProtocol, lun: some StringProtocol) {
    guard let controller = Self.number(controller), let lun = Self.number(lun), Self.controllers.contains(controller),
      Self.luns.contains(lun)
    else { return nil }
    self.init(controller: controller, lun: lun)
  }

  /// One way to write each: no sign, no leading zeros.
  private static func number(_ text: some StringProtocol) -> Int? {
    guard let number = Int(text), String(number) == text else { return nil }
    return number
  }

  public var description: String { "\(controller):\(lun)" }
}
