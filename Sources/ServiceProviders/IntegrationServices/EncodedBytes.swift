// SPDX-License-Identifier: Apache-2.0

import VMBus

/// `count` zeroed bytes with what `encode` writes into them.
func encodedBytes(
  _ count: Int, _ encode: (inout MutableRawSpan) throws(WireError) -> Void
) throws(WireError) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  var span = bytes.mutableSpan
  // Plain bytes: any value that is written is a value of the element.
  var raw = unsafe span.mutableBytes
  try encode(&raw)
  return bytes
}
