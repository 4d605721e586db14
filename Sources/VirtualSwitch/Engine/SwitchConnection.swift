// SPDX-License-Identifier: Apache-2.0

/// A port of a switch, held by whoever is behind it. The switch may be in this process or in another one.
public protocol SwitchConnection: AnyObject, Sendable {
  var name: String { get }
  var settings: PortSettings { get }
  /// Whether frames can go to the switch and come from it.
  var isUp: Bool { get }

  /// One for each thread that sends.
  func makeSender() -> any FrameSender
  func set(_ settings: PortSettings) throws(SwitchError)
  func set(_ capabilities: PortCapabilities)
  /// When it returns, the sink is not called any more. A second call does nothing.
  func disconnect()
}
