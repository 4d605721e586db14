// SPDX-License-Identifier: Apache-2.0

/// Cuts a byte stream into frames. Holds at most one incomplete frame.
struct FrameDecoder {
  private var buffer: [UInt8] = []
  private var position = 0

  mutating func append(_ bytes: ArraySlice<UInt8>) {
    if position > 0 {
      buffer.removeSubrange(..<position)
      position = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next complete frame; nil: more bytes are needed. After an error the stream cannot be read on.
  mutating func next() throws(LinkError) -> Frame? {
    var rest = buffer[position...]
    guard let length = rest.takeLittle(UInt32.self), let stream = rest.takeLittle(UInt16.self),
      let kind = rest.takeLittle(UInt8.self), let reserved = rest.takeLittle(UInt8.self)
    else { return nil }
    guard length <= Frame.maximumPayload else { throw .oversized(length) }
    guard reserved == 0 else { throw .malformed(FrameKind(rawValue: kind)) }
    guard rest.count >= Int(length) else { return nil }
    let payload = Array(rest.prefix(Int(length)))
    position += Frame.headerSize + payload.count
    return Frame(FrameKind(rawValue: kind), stream: StreamID(rawValue: stream), payload: payload)
  }

  /// Whether bytes of an incomplete frame are held.
  var isMidFrame: Bool { position < buffer.count }
}
