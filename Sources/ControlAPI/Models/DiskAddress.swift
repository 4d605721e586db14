// SPDX-License-Identifier: Apache-2.0

/// Where a disk is. On a SCSI controller, its number and the logical unit: people write `0:1`. On the IDE controller, the
/// plug: `primary-master`.
public enum DiskAddress: Hashable, Sendable, CustomStringConvertible {
  case scsi(controller: Int, lun: Int)
  case ide(IDEPlace)

  /// Hyper-V's limits.
  public static let controllers = 0...3
  public static let luns = 0...63
  /// Stands for the controller where a number does for the others.
  static let ideController = "ide"

  public init(controller: Int, lun: Int) { self = .scsi(controller: controller, lun: lun) }

  /// `nil` for what is neither a plug's name nor two numbers in range.
  public init?(_ text: String) {
    if let place = IDEPlace(rawValue: text) {
      self = .ide(place)
      return
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let controller = Self.number(parts[0], in: Self.controllers),
      let lun = Self.number(parts[1], in: Self.luns)
    else { return nil }
    self.init(controller: controller, lun: lun)
  }

  /// From two parts of a target of the control API: `0` and `1`, or `ide` and `primary-master`.
  public init?(controller: some StringProtocol, unit: some StringProtocol) {
    if controller == Self.ideController {
      guard let place = IDEPlace(rawValue: String(unit)) else { return nil }
      self = .ide(place)
    } else {
      guard let controller = Self.number(controller, in: Self.controllers), let lun = Self.number(unit, in: Self.luns)
      else { return nil }
      self.init(controller: controller, lun: lun)
    }
  }

  /// One way to write each: no sign, no leading zeros.
  private static func number(_ text: some StringProtocol, in range: ClosedRange<Int>) -> Int? {
    guard let number = Int(text), String(number) == text, range.contains(number) else { return nil }
    return number
  }

  public var description: String {
    switch self {
    case .scsi(let controller, let lun): "\(controller):\(lun)"
    case .ide(let place): place.rawValue
    }
  }

  /// The two parts of the control API's targets.
  var target: String {
    switch self {
    case .scsi(let controller, let lun): "\(controller)/\(lun)"
    case .ide(let place): "\(Self.ideController)/\(place.rawValue)"
    }
  }

  /// What events say of a disk's place.
  public var details: [String: String] {
    switch self {
    case .scsi(let controller, let lun): ["controller": "\(controller)", "lun": "\(lun)"]
    case .ide(let place): ["position": place.rawValue]
    }
  }
}
