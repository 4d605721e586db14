// SPDX-License-Identifier: Apache-2.0

/// One frame of the link between the outer and the inner program.
///
/// The link is our own protocol on a reliable byte stream (a virtio-serial port), so no other program's format binds it.
/// A frame is an 8-byte header and a payload; integers are little-endian:
///
///     0  UInt32  payload length, at most `maximumPayload`
///     4  UInt16  stream
///     6  UInt8   kind
///     7  UInt8   zero
struct Frame: Equatable, Sendable {
  var kind: FrameKind
  var stream: StreamID
  var payload: [UInt8]

  static let headerSize = 8
  /// Large enough for one API chunk, small enough that a console byte never waits long behind one.
  static let maximumPayload = 16384

  init(_ kind: FrameKind, stream: StreamID = .link, payload: [UInt8] = []) {
    self.kind = kind
    self.stream = stream
    self.payload = payload
  }

  func encode(into bytes: inout [UInt8]) {
    precondition(payload.count <= Self.maximumPayload)
    bytes.append(little: UInt32(payload.count))
    bytes.append(little: stream.rawValue)
    bytes.append(kind.rawValue)
    bytes.append(0)
    bytes.append(contentsOf: payload)
  }
}

/// What a frame is. Peer-chosen, so an open set of codes.
struct FrameKind: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt8
  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Outer to inner, once, first: `StartRecord`.
  static let start = FrameKind(rawValue: 1)
  /// Outer to inner: the next bytes of the orders, until the length that `start` announced is reached.
  static let orders = FrameKind(rawValue: 2)
  /// Outer to inner: a client connected to the control socket; the stream is new.
  static let open = FrameKind(rawValue: 3)
  /// Both ways: bytes of a stream, never more than the peer's credit.
  static let data = FrameKind(rawValue: 4)
  /// Both ways: no more bytes will come on this stream from the sender.
  static let end = FrameKind(rawValue: 5)
  /// Both ways: the stream is dead in both directions.
  static let reset = FrameKind(rawValue: 6)
  /// Both ways: the receiver of a stream has used up so many bytes (UInt32); the sender may send as many more.
  static let credit = FrameKind(rawValue: 7)
  /// Outer to inner: a signal number (UInt32) for the inner program.
  static let signal = FrameKind(rawValue: 8)
  /// Outer to inner: wall clock in nanoseconds since 1970 (UInt64); to be answered with `pong`.
  static let time = FrameKind(rawValue: 9)
  /// Inner to outer: the payload of the `time` frame that it answers.
  static let pong = FrameKind(rawValue: 10)
  /// Inner to outer, once, last: UInt32 0 and an exit code, or 1 and a signal number (UInt32).
  static let exit = FrameKind(rawValue: 11)
  /// Inner to outer: why the inner machine cannot go on (UTF-8).
  static let failure = FrameKind(rawValue: 12)
}

/// One byte stream in the link.
struct StreamID: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt16
  init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Frames about the link as a whole.
  static let link = StreamID(rawValue: 0)
  static let input = StreamID(rawValue: 1)
  static let output = StreamID(rawValue: 2)
  static let error = StreamID(rawValue: 3)
  /// Proxied connections: the outer end picks a free number from here on.
  static let firstConnection: UInt16 = 16
  static let maximumConnections = 64

  var isConnection: Bool { rawValue >= Self.firstConnection }
}

extension [UInt8] {
  /// Appends an integer in little-endian order.
  mutating func append<T: FixedWidthInteger>(little value: T) {
    for shift in stride(from: 0, to: T.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> T(shift))) }
  }
}

extension ArraySlice<UInt8> {
  /// Takes a little-endian integer off the front; nil where too few bytes are left.
  mutating func takeLittle<T: FixedWidthInteger>(_: T.Type = T.self) -> T? {
    let size = T.bitWidth / 8
    guard count >= size else { return nil }
    var value: T = 0
    for (index, byte) in prefix(size).enumerated() { value |= T(truncatingIfNeeded: byte) << T(index * 8) }
    self = dropFirst(size)
    return value
  }
}
