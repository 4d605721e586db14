// SPDX-License-Identifier: Apache-2.0

/// The messages between a switch and the processes on its port socket: one packet each, sixteen bytes of header, then a
/// frame or what is listed below. Numbers are little-endian.
///
/// | bytes | content |
/// | --- | --- |
/// | 0 | kind |
/// | 1 | bit 0: a tag is beside the frame |
/// | 2–3 | that tag |
/// | 4–5 | 0 |
/// | 6–15 | offloads, as a virtio-net header |
enum RemoteMessage {
  static let headerSize = 16

  enum Kind: UInt8 {
    case frame = 1
    /// To the switch, first: `PortRequest`. Later: changed settings.
    case request = 2
    /// From the switch, to each request: 0 or 1 (refused), then a text.
    case answer = 3
  }

  static func header(_ kind: Kind, tag: VLANTag? = nil, offloads: FrameOffloads = .none) -> InlineArray<16, UInt8> {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = kind.rawValue
    if let tag {
      bytes[1] = 1
      bytes[2] = UInt8(truncatingIfNeeded: tag.rawValue)
      bytes[3] = UInt8(truncatingIfNeeded: tag.rawValue >> 8)
    }
    let header = VirtioNetHeader(offloads).bytes
    for index in header.indices { bytes[6 + index] = header[index] }
    return bytes
  }

  enum Content: Equatable {
    /// What follows the header is a frame.
    case frame(tag: VLANTag?, FrameOffloads)
    case request(PortRequest)
    case answer(refusal: String?)
  }

  /// `nil`: a peer that does not keep to this.
  static func decode(_ bytes: UnsafeRawBufferPointer) -> Content? {
    guard bytes.count >= headerSize, let kind = unsafe Kind(rawValue: bytes[0]), unsafe bytes[1] & ~1 == 0 else {
      return nil
    }
    let rest = unsafe bytes[headerSize...]
    switch kind {
    case .frame:
      let virtio = unsafe UnsafeRawBufferPointer(rebasing: bytes[6..<16])
      guard let header = unsafe VirtioNetHeader(decoding: virtio.bytes) else { return nil }
      let tag = unsafe bytes[1] == 0 ? nil : VLANTag(rawValue: UInt16(bytes[2]) | UInt16(bytes[3]) << 8)
      return .frame(tag: tag, header.offloads)
    case .request: return unsafe PortRequest(decoding: [UInt8](rest)).map { .request($0) }
    case .answer:
      let text = unsafe [UInt8](rest)
      guard let first = text.first, first <= 1, text.count <= 1 + maximumText else { return nil }
      return .answer(refusal: first == 0 ? nil : String(decoding: text.dropFirst(), as: UTF8.self))
    }
  }

  static let maximumText = 400

  static func request(_ request: PortRequest) -> [UInt8] { bytes(header(.request)) + request.encoded }

  static func answer(_ refusal: String?) -> [UInt8] {
    bytes(header(.answer)) + [refusal == nil ? 0 : 1] + (refusal ?? "").utf8.prefix(maximumText)
  }

  private static func bytes(_ header: InlineArray<16, UInt8>) -> [UInt8] { header.indices.map { header[$0] } }
}
