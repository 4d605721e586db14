// SPDX-License-Identifier: Apache-2.0

/// One of the four places for a drive: two cables with two plugs each.
public struct IDEPosition: Hashable, Sendable, CaseIterable {
  /// 0: primary, 1: secondary.
  public let channel: Int
  /// 0: master, 1: slave.
  public let unit: Int

  public static let primaryMaster = IDEPosition(channel: 0, unit: 0)
  public static let primarySlave = IDEPosition(channel: 0, unit: 1)
  public static let secondaryMaster = IDEPosition(channel: 1, unit: 0)
  public static let secondarySlave = IDEPosition(channel: 1, unit: 1)
  public static let allCases = [primaryMaster, primarySlave, secondaryMaster, secondarySlave]

  private init(channel: Int, unit: Int) {
    self.channel = channel
    self.unit = unit
  }

  /// 0…3 in the order of `allCases`.
  public var index: Int { channel * 2 + unit }
}
