// SPDX-License-Identifier: Apache-2.0

import Foundation
import VMBus
import VirtualDisks

/// `DiskBench IMAGE read|write COUNT BYTES DEPTH STEP`: as `qemu-img bench`, requests of so many bytes at every so many (from the
/// start again at the end), so many at a time, through the queue that a machine's channels use. STEP `random`: at random
/// places. Prints the seconds that the requests took, without opening and closing; a writer's last one is a flush.
@main
enum DiskBench {
  struct Failed: Error, CustomStringConvertible { var description: String }

  static func main() throws {
    let words = Array(CommandLine.arguments.dropFirst())
    guard words.count == 6, let count = Int(words[2]), let bytes = Int(words[3]), let depth = Int(words[4]) else {
      throw Failed(description: "usage: DiskBench IMAGE read|write COUNT BYTES DEPTH STEP")
    }
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
    var generator = SystemRandomNumberGenerator()
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
      while begun < count, begun - ended < depth {
        try start(writes ? .write(forceUnitAccess: false) : .read, next(), bytes)
        begun += 1
      }
      try finish()
      ended += 1
    }
    if writes {
      try start(.flush, 0, 0)
      try finish()
    }
    print(String(format: "%.6f", Date().timeIntervalSince(began)))
    queue.close()
    drive.stop()
    try image.close()
    unsafe memory.deallocate()
  }
}
