// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The bytes of a string of hexadecimal digits; `nil` if it is none.
func bytes(hex: String) -> [UInt8]? {
  let digits = hex.filter { !$0.isWhitespace }.compactMap { $0.hexDigitValue }
  guard digits.count % 2 == 0 else { return nil }
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func hex(_ bytes: [UInt8]) -> String {
  bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

// Spans may not appear inside `#expect`; these take and give arrays.

func decodeGuest(_ bytes: [UInt8]) throws(MessageError) -> GuestMessage {
  try unsafe GuestMessage(decoding: bytes.span.bytes)
}
func decodeHost(_ bytes: [UInt8]) throws(MessageError) -> HostMessage {
  try unsafe HostMessage(decoding: bytes.span.bytes)
}
func array(_ buffer: MessageBuffer) -> [UInt8] { unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) } }
