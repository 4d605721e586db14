// SPDX-License-Identifier: Apache-2.0

import CVMBus
import KernelSupport
import VMBus

// The version negotiation of the integration services, for drivers that leave it to the bus.
//
// Behind the 28 bytes of the two headers: framework version count u16 @0, message version count u16 @2, reserved u32 @4,
// then the versions, framework's first, each major u16 and minor u16 (Linux `struct icmsg_negotiate`).

/// Chooses for both the first of our versions (major in the upper half) that the host offers too, and writes the answer
/// over the question. `chosen` takes framework and message version. 1: agreed; 0: the answer says that nothing fits.
@c(negotiate_versions)
public func negotiateVersions(_ message: UnsafeMutablePointer<vb_negotiation>) -> Int32 {
  let message = unsafe message
  guard let base = unsafe message.pointee.bytes, let chosen = unsafe message.pointee.chosen else { return 0 }
  let buffer = unsafe UnsafeMutableRawBufferPointer(start: base, count: Int(message.pointee.count))
  do throws(WireError) {
    let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer))
    let frameworks = Int(try bytes.read(UInt16.self, at: 0))
    let messages = Int(try bytes.read(UInt16.self, at: 2))
    // What the host offered first is what is reported when nothing fits.
    var framework = UInt32(frameworks) << 16
    var service = UInt32(messages) << 16
    var agreed = false
    if frameworks <= 100, messages <= 100, buffer.count >= 8 &+ (frameworks &+ messages) &* 4,
      let first = try unsafe firstOfOurs(
        message.pointee.frameworks, Int(message.pointee.framework_count), bytes, 0, frameworks),
      let second = try unsafe firstOfOurs(
        message.pointee.services, Int(message.pointee.service_count), bytes, frameworks, messages)
    {
      framework = first
      service = second
      agreed = true
    }
    unsafe chosen[0] = framework
    unsafe chosen[1] = service
    var answer = unsafe buffer.mutableBytes
    try answer.write((agreed ? 1 : 0) as UInt16, at: 0)
    try answer.write((agreed ? 1 : 0) as UInt16, at: 2)
    if agreed || buffer.count >= 16 {
      try write(framework, at: 8, &answer)
      try write(service, at: 12, &answer)
    }
    return agreed ? 1 : 0
  } catch {
    return 0
  }
}

private func firstOfOurs(
  _ ours: UnsafePointer<Int32>?, _ count: Int, _ bytes: RawSpan, _ first: Int, _ offered: Int
) throws(WireError) -> UInt32? {
  guard let ours = unsafe ours else { return nil }
  for index in 0..<count {
    let version = unsafe UInt32(bitPattern: ours[index])
    for place in 0..<offered {
      let offset = 8 &+ (first &+ place) &* 4
      let major = UInt32(try bytes.read(UInt16.self, at: offset))
      let minor = UInt32(try bytes.read(UInt16.self, at: offset &+ 2))
      if version == major << 16 | minor { return version }
    }
  }
  return nil
}

@_lifetime(answer: copy answer)
private func write(_ version: UInt32, at offset: Int, _ answer: inout MutableRawSpan) throws(WireError) {
  try answer.write(UInt16(truncatingIfNeeded: version >> 16), at: offset)
  try answer.write(UInt16(truncatingIfNeeded: version), at: offset &+ 2)
}
