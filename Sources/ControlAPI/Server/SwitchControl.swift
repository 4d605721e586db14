// SPDX-License-Identifier: Apache-2.0

/// What the control API can ask of a running virtual switch. Called from the cooperative pool, several calls at once.
public protocol SwitchControl: Sendable {
  func describe() throws(ControlError) -> SwitchDescription
  /// `.notFound` for a port that is not there.
  func updatePort(_ name: String, _ update: SwitchPortUpdate) throws(ControlError) -> SwitchPortDescription
  func startCapture(_ request: SwitchCaptureRequest) throws(ControlError) -> SwitchCapture
  /// `.notFound` where none runs. The file is whole when it returns.
  func stopCapture(_ path: String) throws(ControlError) -> SwitchCapture
  /// Ends the switch after the answer. `.wrongState` while machines are attached, unless `force`.
  func remove(force: Bool) throws(ControlError)
}
