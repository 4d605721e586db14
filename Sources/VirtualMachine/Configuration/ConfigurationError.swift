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

  /// `message`: what is said of `word`, which is none of `known`. One that is nearly right is pointed out; otherwise
  /// `hint`, or the list.
  static func unknown(
    _ message: String, _ word: String, known: [String], source: String, hint: String? = nil
  ) -> ConfigurationError {
    let close = known.map { ($0, EditDistance.between($0, word)) }.min { $0.1 < $1.1 }
    if let close, close.1 <= 2 {
      return ConfigurationError(source: source, message, remedy: "did you mean \"\(close.0)\"?")
    }
    return ConfigurationError(
      source: source, message, remedy: hint ?? "known keys are \(known.joined(separator: ", "))")
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
