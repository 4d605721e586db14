// SPDX-License-Identifier: Apache-2.0

/// A set of VLANs: what a trunk carries. Written `1-10,20,100-199`.
public struct VLANSet: Hashable, Sendable, CustomStringConvertible {
  /// On the heap: a port's settings are copied for frames, and 512 bytes would be much for that.
  private var words: [UInt64]

  public init() { words = [UInt64](repeating: 0, count: 64) }

  public init(_ ids: some Sequence<VLANID>) {
    self.init()
    for id in ids { insert(id) }
  }

  /// 1…4094.
  public static let all: VLANSet = {
    var set = VLANSet()
    for number in 1...4094 { set.insert(VLANID(rawValue: UInt16(number))) }
    return set
  }()

  /// `nil` for anything but numbers and ascending ranges within 1…4094, separated by commas.
  public init?(_ text: String) {
    self.init()
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(Self.number)
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last else {
        return nil
      }
      for number in first...last { insert(VLANID(rawValue: UInt16(number))) }
    }
  }

  private static func number(_ text: Substring) -> Int? {
    let trimmed = text.drop { $0 == " " }
    guard !trimmed.isEmpty, trimmed.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(trimmed),
      (1...4094).contains(number)
    else { return nil }
    return number
  }

  public func contains(_ id: VLANID) -> Bool {
    let number = Int(id.rawValue & 0xfff)
    return words[number >> 6] & (1 << UInt64(number & 63)) != 0
  }

  public mutating func insert(_ id: VLANID) {
    guard (1...4094).contains(id.rawValue) else { return }
    let number = Int(id.rawValue)
    words[number >> 6] |= 1 << UInt64(number & 63)
  }

  public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
  public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// Ascending.
  public var ids: [VLANID] { (1...4094).map { VLANID(rawValue: $0) }.filter(contains) }

  public var description: String {
    var parts: [String] = []
    var start: UInt16?
    for number in UInt16(1)...4095 {
      if number < 4095, contains(VLANID(rawValue: number)) {
        start = start ?? number
      } else if let first = start {
        parts.append(first == number - 1 ? "\(first)" : "\(first)-\(number - 1)")
        start = nil
      }
    }
    return parts.joined(separator: ",")
  }

  /// The set as 512 bytes: bit n of byte n / 8.
  func write(to bytes: inout [UInt8]) {
    for index in words.indices {
      for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: words[index] >> (8 * shift))) }
    }
  }

  /// Bits outside 1…4094 are ignored.
  init(bits bytes: ArraySlice<UInt8>) {
    self.init()
    for (index, byte) in bytes.prefix(512).enumerated() {
      for bit in 0..<8 where byte & (1 << bit) != 0 { insert(VLANID(rawValue: UInt16(index * 8 + bit))) }
    }
  }
}
