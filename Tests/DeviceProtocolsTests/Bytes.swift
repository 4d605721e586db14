// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import DeviceProtocols

/// `count` zeroed bytes with what `encode` writes.
func bytes(_ count: Int, _ encode: (inout MutableRawSpan) throws -> Void) rethrows -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  var span = bytes.mutableSpan
  var raw = unsafe span.mutableBytes
  try encode(&raw)
  return bytes
}

/// The body of a packet.
func body(_ packet: [UInt8]) -> [UInt8] { Array(packet.dropFirst(IntegrationHeader.wireSize)) }

/// Decodes every prefix of `bytes`: all shorter than `needed` must throw, all others must not.
func cut<T>(_ bytes: [UInt8], needed: Int, _ decode: (RawSpan) throws -> T) {
  for count in 0...bytes.count {
    let part = Array(bytes.prefix(count))
    let succeeded = (try? decode(part.wire)) != nil
    #expect(succeeded == (count >= needed), "\(count) of \(bytes.count) bytes, needed \(needed)")
  }
}

extension [UInt8] {
  /// The bytes as a decoder wants them.
  var wire: RawSpan {
    @_lifetime(borrow self) get { unsafe span.bytes }
  }
}
