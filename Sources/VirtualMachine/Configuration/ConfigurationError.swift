// SPDX-License-Identifier: Apache-2.0

public import ControlAPI

/// What is wrong with a configuration: where it stands, what it is, what to do.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// `web.yaml:7` or `--memory`; `nil` where the problem is not in one place.
  public var source: String?
  public var message: String
  public var remedy: String?
  /// The file named is at fault, not the text that names it.
  public var isInput: Bool

  public init(source: String?, _ message: String, remedy: String? = nil, isInput: Bool = false) {
    self.source = source
    self.message = message
    self.remedy = remedy
    self.isInput = isInput
  }

  public var description: String {
    var text = source.map { "\($0): " } ?? ""
    text += message
    if let remedy { text += "; \(remedy)" }
    return text
  }

  /// As the rest of the program reports it.
  public var controlError: ControlError {
    ControlError(isInput ? .input : .configuration, (source.map { "\($0): " } ?? "") + message, remedy: remedy)
  }
}
