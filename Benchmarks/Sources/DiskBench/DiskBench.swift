// SPDX-License-Identifier: Apache-2.0

import Foundation
import VMBus
import VirtualDisks

/// `DiskBench IMAGE read|write COUNT BYTES DEPTH STEP [FLUSH]`: as `qemu-img bench`, requests of so many bytes at every
/// so many (from the start again at the end), so many at a time, through the queue that a machine's channels use. STEP
/// `random`: at random places. FLUSH: whenever so many have ended, and nothing else is under way, a flush.
///
/// Prints the seconds that the requests took, without opening and closing: to the end of the last one, and to the end
/// of the flush that comes after a writer's last one.
@main
enum DiskBench {
  /// Random places without a system call for each, as the others have them.
  struct SplitMix: RandomNumberGenerator {
    var state = UInt64.random(in: 0 ... .max)
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
      return mixed ^ mixed >> 31
    }
  }

  struct Failed: Error, CustomStringConvertible { var description: String }

  static func main() throws {
    let words = Array(CommandLine.arguments.dropFirst())
    guard (6...7).contains(words.count), let count = Int(words[2]), let bytes = Int(words[3]),
      let depth = Int(words[4]), let batch = words.count == 7 ? Int(words[6]) : count, batch > 0
    else { throw Failed(description: "usage: DiskBench IMAGE read|write COUNT BYTES DEPTH STEP [FLUSH]") }
    let writes = words[1] == "write"
    var options = ImageChain.Options()
    options.isWritable = writes
    let image = try ImageChain.open(words[0], options).image
    let size = image.information.virtualByteCount
    let drive = Drive(
      name: "bench", medium: image,
      characteristics: DriveCharacteristics(byteCount: size, isReadOnly: !writes, identifier: GUID(1, 2, 3, 4, 5)))
    let queue = DriveQueue(slots: depth, bell: try DriveBell())
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: depth * bytes, alignment: 4096)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0x5A)
    var generator = SplitMix()
    let places = size / UInt64(bytes)
    var offset: UInt64 = 0
    func next() -> UInt64 {
      guard let step = UInt64(words[5]) else { return UInt64.random(in: 0..<places, using: &generator) * UInt64(bytes) }
      defer { offset = offset + step + UInt64(bytes) <= size ? offset + step : 0 }
      return offset
    }
    func start(_ operation: DriveOperation, _ at: UInt64, _ length: Int) throws {
      guard let slot = queue.reserve(), let base = memory.baseAddress else {
        throw Failed(description: "no place left")
      }
      unsafe queue.append(base + slot * bytes, count: bytes, to: slot)
      queue.start(DriveRequest(operation, byteOffset: at, byteCount: UInt64(length)), on: drive, token: 0, in: slot)
    }
    func finish() throws {
      while true {
        guard let finished = queue.takeFinished() else {
          _ = queue.step(wait: true)
          continue
        }
        queue.release(finished.slot)
        if case .failure(let failure, _) = finished.result { throw Failed(description: "\(failure)") }
        return
      }
    }
    let began = Date()
    var (begun, ended) = (0, 0)
    while ended < count {
      if writes, ended > 0, ended % batch == 0 {
        try start(.flush, 0, 0)
        try finish()
      }
      let limit = min(count, (ended / batch + 1) * batch)
      while begun < limit, begun - ended < depth {
        try start(writes ? .write(forceUnitAccess: false) : .read, next(), bytes)
        begun += 1
      }
      try finish()
      ended += 1
    }
    let seconds = Date().timeIntervalSince(began)
    if writes {
      try start(.flush, 0, 0)
      try finish()
    }
    print(String(format: "%.6f %.6f", seconds, Date().timeIntervalSince(began)))
    queue.close()
    drive.stop()
    try image.close()
    unsafe memory.deallocate()
  }
}
