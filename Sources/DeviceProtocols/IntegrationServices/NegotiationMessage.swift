// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The body of NEGOTIATE, both ways: the host offers lists, the guest answers with one version of each, or with none.
///
/// Layout: `icmsg_negotiate` in include/linux/hyperv.h of Linux 6.1: framework count u16, message count u16, reserved
/// u32, then the framework versions and after them the message versions, {major u16, minor u16} each.
/// Offsets here are from the start of the body.
public struct NegotiationMessage: Sendable {
  /// The body size of an answer, whatever it chose.
  public static let answerSize: UInt16 = 16
  /// The most versions of a kind that Linux takes in one message.
  public static let maximumCount: UInt16 = 100

  public var frameworks: ServiceVersionList
  public var messages: ServiceVersionList

  public init(frameworks: ServiceVersionList, messages: ServiceVersionList) {
    self.frameworks = frameworks
    self.messages = messages
  }

  public var bodySize: Int { 8 &+ 4 &* (frameworks.count &+ messages.count) }

  /// Writes the host's lists into `body`.
  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(UInt16(truncatingIfNeeded: frameworks.count), at: 0)
    try body.write(UInt16(truncatingIfNeeded: messages.count), at: 2)
    try body.write(UInt32(0), at: 4)
    var offset = 8
    for index in 0..<frameworks.count {
      try Self.write(frameworks.version(at: index), to: &body, at: offset)
      offset &+= 4
    }
    for index in 0..<messages.count {
      try Self.write(messages.version(at: index), to: &body, at: offset)
      offset &+= 4
    }
  }

  /// What a guest answers.
  public enum Answer: Hashable, Sendable {
    case chosen(framework: ServiceVersion, message: ServiceVersion)
    /// Both counts zero: no version in common.
    case none
  }

  /// Reads a guest's answer. Linux leaves the rest of the host's lists behind its two versions.
  public static func answer(decoding body: RawSpan) throws(WireError) -> Answer {
    let frameworkCount = try body.read(UInt16.self, at: 0)
    let messageCount = try body.read(UInt16.self, at: 2)
    if frameworkCount == 0, messageCount == 0 { return .none }
    guard frameworkCount == 1 else { throw .invalid(offset: 0) }
    guard messageCount == 1 else { throw .invalid(offset: 2) }
    let framework = try IntegrationHeader.version(body, at: 8)
    let message = try IntegrationHeader.version(body, at: 12)
    return .chosen(framework: framework, message: message)
  }

  /// Writes a guest's answer into the body that begins at `start`.
  @_lifetime(bytes: copy bytes)
  public static func encode(
    _ answer: Answer, into bytes: inout MutableRawSpan, at start: Int
  ) throws(WireError) {
    switch answer {
    case .chosen(let framework, let message):
      try bytes.write(UInt16(1), at: start)
      try bytes.write(UInt16(1), at: start &+ 2)
      try write(framework, to: &bytes, at: start &+ 8)
      try write(message, to: &bytes, at: start &+ 12)
    case .none:
      try bytes.write(UInt16(0), at: start)
      try bytes.write(UInt16(0), at: start &+ 2)
    }
  }

  /// The guest's choice from a host's lists: the best framework and the best message version that it knows itself, each
  /// on its own, as Linux chooses. Fails when the counts are over the limit or the lists do not fit the body.
  public static func choose(
    from body: RawSpan, frameworks: ServiceVersionList, messages: ServiceVersionList
  ) throws(WireError) -> Answer {
    let frameworkCount = try body.read(UInt16.self, at: 0)
    let messageCount = try body.read(UInt16.self, at: 2)
    guard frameworkCount <= maximumCount else { throw .invalid(offset: 0) }
    guard messageCount <= maximumCount else { throw .invalid(offset: 2) }
    let framework = try best(of: frameworks, in: body, from: 8, count: Int(frameworkCount))
    let message = try best(of: messages, in: body, from: 8 &+ 4 &* Int(frameworkCount), count: Int(messageCount))
    guard let framework, let message else { return .none }
    return .chosen(framework: framework, message: message)
  }

  private static func best(
    of known: ServiceVersionList, in body: RawSpan, from start: Int, count: Int
  ) throws(WireError) -> ServiceVersion? {
    var bestIndex = known.count
    for item in 0..<count {
      let offered = try IntegrationHeader.version(body, at: start &+ 4 &* item)
      for index in 0..<bestIndex where known.version(at: index) == offered {
        bestIndex = index
        break
      }
    }
    return known.version(at: bestIndex)
  }

  @_lifetime(body: copy body)
  private static func write(
    _ version: ServiceVersion?, to body: inout MutableRawSpan, at offset: Int
  ) throws(WireError) {
    guard let version else { throw .invalid(offset: offset) }
    try body.write(version.wireValue, at: offset)
  }
}
