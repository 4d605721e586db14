// SPDX-License-Identifier: Apache-2.0

/// The versions that one side knows, best first: at most eight, held in place.
public struct ServiceVersionList: Sendable, Equatable {
  public static let capacity = 8
  private var storage: InlineArray<8, ServiceVersion>
  public private(set) var count: Int

  public init() {
    storage = InlineArray(repeating: ServiceVersion(rawValue: 0))
    count = 0
  }

  public init(_ a: ServiceVersion) {
    self.init()
    append(a)
  }

  public init(_ a: ServiceVersion, _ b: ServiceVersion) {
    self.init(a)
    append(b)
  }

  public init(_ a: ServiceVersion, _ b: ServiceVersion, _ c: ServiceVersion) {
    self.init(a, b)
    append(c)
  }

  public init(_ a: ServiceVersion, _ b: ServiceVersion, _ c: ServiceVersion, _ d: ServiceVersion) {
    self.init(a, b, c)
    append(d)
  }

  /// Adds a version; a ninth is not taken.
  @discardableResult
  public mutating func append(_ version: ServiceVersion) -> Bool {
    guard count < Self.capacity else { return false }
    storage[count] = version
    count &+= 1
    return true
  }

  /// The version at `index`, best first; nil past the end.
  public func version(at index: Int) -> ServiceVersion? {
    guard index >= 0, index < count else { return nil }
    return storage[index]
  }

  public func contains(_ version: ServiceVersion) -> Bool {
    for index in 0..<count where storage[index] == version { return true }
    return false
  }

  public static func == (a: ServiceVersionList, b: ServiceVersionList) -> Bool {
    guard a.count == b.count else { return false }
    for index in 0..<a.count where a.storage[index] != b.storage[index] { return false }
    return true
  }
}
