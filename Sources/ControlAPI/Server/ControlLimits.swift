// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// What a client may cost. A test uses smaller ones.
public struct ControlLimits: Sendable {
  /// Connections at once. When they are all taken, the one that has waited longest without sending a request makes way.
  public var connections = 128
  /// From the connection, or the end of the previous answer, to the end of the next request's head.
  public var headTime = TimeAmount.seconds(15)
  /// From a request's head to the end of a JSON body.
  public var bodyTime = TimeAmount.seconds(15)
  /// Without a byte, while we ask for more of a streamed body.
  public var streamIdleTime = TimeAmount.seconds(30)
  /// Without taking a byte of an answer.
  public var writeTime = TimeAmount.seconds(120)
  /// For reading on after an early refusal, so that the client sees the answer instead of a broken pipe.
  public var lingerTime = TimeAmount.seconds(2)
  /// Requests that are answered get this long when the server stops.
  public var drainTime = TimeAmount.seconds(2)
  public var jsonBytes = 64 * 1024
  /// Levels of nesting in a JSON body.
  public var jsonDepth = 16
  /// Bytes of a request's head: target and fields.
  public var headBytes = 32 * 1024

  public init() {}
}
