// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A moment of the host's wall clock, in nanoseconds since 1970-01-01 UTC. RFC 3339 with milliseconds in JSON.
public struct Timestamp: Hashable, Comparable, Sendable {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static var now: Timestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Timestamp: CustomStringConvertible {
  private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  public var description: String {
    // Whole milliseconds, so that the text does not depend on how a Double rounds.
    let milliseconds = nanoseconds / 1_000_000
    return Date(timeIntervalSince1970: Double(milliseconds) / 1000 + 0.000_01).formatted(Self.style)
  }

  /// Parses what `description` prints; `nil` for anything else.
  public init?(_ text: String) {
    guard let date = try? Date(text, strategy: Self.style) else { return nil }
    let milliseconds = (date.timeIntervalSince1970 * 1000).rounded()
    guard abs(milliseconds) < 9_000_000_000_000 else { return nil }  // the years 1684 to 2255 fit into Int64 ns
    nanoseconds = Int64(milliseconds) * 1_000_000
  }
}

extension Timestamp: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Timestamp(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is not an RFC 3339 time")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
