// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// RNDIS messages of the host, as bytes.
enum RNDISBytes {
  static func message(_ message: RNDISMessage, _ information: [UInt8] = []) -> [UInt8] {
    let size = message.byteCount
    var bytes = [UInt8](repeating: 0, count: size)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    do throws(WireError) {
      try message.encode(into: &raw)
      try raw.write(unsafe information.span.bytes, at: size - information.count)
    } catch {
      preconditionFailure("a message is longer than it says")
    }
    return bytes
  }

  static func indication(_ status: RNDISStatus, _ information: [UInt8]) -> [UInt8] {
    message(.indicate(status, information: .bytes(information.count)), information)
  }

  static func word(_ value: UInt32) -> [UInt8] { words([value]) }

  static func words(_ values: [UInt32]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
  }

  /// What `encode` puts into `count` zeros.
  static func bytes(_ count: Int, _ encode: (inout MutableRawSpan) throws(WireError) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    do throws(WireError) {
      try encode(&raw)
    } catch {
      preconditionFailure("a structure is longer than it says")
    }
    return bytes
  }
}
