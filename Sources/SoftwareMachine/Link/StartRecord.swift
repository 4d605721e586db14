// SPDX-License-Identifier: Apache-2.0

/// The first frame's payload: what the restored inner machine needs before the orders.
///
///     0  UInt32  version
///     4  UInt32  length of the orders that follow
///     8  UInt64  wall clock, nanoseconds since 1970
///    16  32      seed for the random pool (every restore starts with the same one)
///    48  UInt32  number of files
///    52  UInt64  each file's length
struct StartRecord: Equatable, Sendable {
  static let version: UInt32 = 1
  static let seedSize = 32
  static let maximumFiles = 16
  static let maximumOrders: UInt32 = 512 << 10

  var ordersLength: UInt32
  var wallClock: UInt64
  var seed: [UInt8]
  var files: [UInt64]

  func encoded() -> [UInt8] {
    precondition(seed.count == Self.seedSize && files.count <= Self.maximumFiles)
    var bytes: [UInt8] = []
    bytes.append(little: Self.version)
    bytes.append(little: ordersLength)
    bytes.append(little: wallClock)
    bytes.append(contentsOf: seed)
    bytes.append(little: UInt32(files.count))
    for file in files { bytes.append(little: file) }
    return bytes
  }

  init(ordersLength: UInt32, wallClock: UInt64, seed: [UInt8], files: [UInt64]) {
    self.ordersLength = ordersLength
    self.wallClock = wallClock
    self.seed = seed
    self.files = files
  }

  init(decoding bytes: [UInt8]) throws(LinkError) {
    var rest = bytes[...]
    guard let version = rest.takeLittle(UInt32.self), version == Self.version,
      let length = rest.takeLittle(UInt32.self), length <= Self.maximumOrders,
      let clock = rest.takeLittle(UInt64.self), rest.count >= Self.seedSize
    else { throw .badStart }
    seed = Array(rest.prefix(Self.seedSize))
    rest = rest.dropFirst(Self.seedSize)
    guard let count = rest.takeLittle(UInt32.self), count <= Self.maximumFiles else { throw .badStart }
    files = []
    for _ in 0..<count {
      guard let size = rest.takeLittle(UInt64.self) else { throw .badStart }
      files.append(size)
    }
    guard rest.isEmpty else { throw .badStart }
    ordersLength = length
    wallClock = clock
  }
}
