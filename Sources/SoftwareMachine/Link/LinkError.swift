// SPDX-License-Identifier: Apache-2.0

/// What a peer of the link did wrong. Any of these ends the link, and with it the machine.
enum LinkError: Error, Equatable, CustomStringConvertible {
  case oversized(UInt32)
  case malformed(FrameKind)
  /// A kind that this end never takes, or not now.
  case unexpected(FrameKind)
  case unknownStream(FrameKind, StreamID)
  /// More data than there was credit for, or more credit than a window.
  case windowViolated(StreamID)
  /// Data after the sender's own end.
  case dataAfterEnd(StreamID)
  /// The peer makes us answer without reading our answers.
  case flooded
  /// The start record speaks another version, or cannot be read.
  case badStart

  var description: String {
    switch self {
    case .oversized(let length): "a frame of \(length) bytes on the link"
    case .malformed(let kind): "a malformed frame of kind \(kind.rawValue) on the link"
    case .unexpected(let kind): "an unexpected frame of kind \(kind.rawValue) on the link"
    case .unknownStream(let kind, let stream): "a frame of kind \(kind.rawValue) for no stream (\(stream.rawValue))"
    case .windowViolated(let stream): "flow control broken on stream \(stream.rawValue)"
    case .dataAfterEnd(let stream): "data after the end of stream \(stream.rawValue)"
    case .flooded: "the link's other end floods us"
    case .badStart: "a start record that cannot be read"
    }
  }
}
