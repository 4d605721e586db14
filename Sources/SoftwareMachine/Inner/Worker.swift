// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The worker's side of its pipes to process 1: descriptor 3 brings the orders, 4 says that it is warm, and later how it
/// is going to end.
enum Worker {
  private static let orders: Int32 = 3
  private static let news: Int32 = 4

  /// Says that the worker is warm, then blocks until the orders come, which is after the restore.
  static func waitForOrders() -> InnerOrders? {
    guard (try? Stream.writeAll(news, [1])) != nil else { return nil }
    defer { close(orders) }
    var bytes: [UInt8] = []
    while true {
      switch Stream.read(orders, into: &bytes, limit: 65536) {
      case .bytes, .wait: continue
      case .end: return decode(bytes)
      case .failed: return nil
      }
    }
  }

  /// Says what the exit code is going to be. Descriptor 4 is the worker's alone in a worker only.
  static func tellEnd(_ code: Int32) {
    guard InnerMachine.isThisProcess else { return }
    var bytes: [UInt8] = []
    bytes.append(little: UInt32(bitPattern: code))
    try? Stream.writeAll(news, bytes)
  }

  /// The other side of `tellEnd`.
  static func end(_ bytes: [UInt8]) -> Int32? {
    var rest = bytes[...]
    return rest.takeLittle(UInt32.self).map { Int32(bitPattern: $0) }
  }

  /// On the pipe: the start record's length, the record, the orders to the end.
  static func encode(_ record: StartRecord, orders: [UInt8]) -> [UInt8] {
    let head = record.encoded()
    var bytes: [UInt8] = []
    bytes.append(little: UInt32(head.count))
    return bytes + head + orders
  }

  static func decode(_ bytes: [UInt8]) -> InnerOrders? {
    var rest = bytes[...]
    guard let length = rest.takeLittle(UInt32.self), rest.count >= length,
      let record = try? StartRecord(decoding: Array(rest.prefix(Int(length))))
    else { return nil }
    let orders = Array(rest.dropFirst(Int(length)))
    guard orders.count == record.ordersLength else { return nil }
    return InnerOrders(configuration: orders, fileSizes: record.files)
  }
}
