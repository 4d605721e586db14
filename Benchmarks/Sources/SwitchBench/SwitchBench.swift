// SPDX-License-Identifier: Apache-2.0

import CAllocationCount
import Foundation
import HostSystem
import Synchronization
import VirtualSwitch

/// `SwitchBench [--format table|json] [--slices N]`: frames per second from one adapter of a switch to another, in this
/// process, copied once; with two senders at once; allocations per frame.
@main
enum SwitchBench {
  /// Copies each frame to the next place of its memory, as a guest's receive buffers are filled.
  @safe final class Buffers: SwitchPortSink {
    private nonisolated(unsafe) let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    private let next = Atomic(0)

    func accept(_ frame: FrameView) -> Bool {
      let place = next.add(1, ordering: .relaxed).newValue & 63
      unsafe frame.copy(to: UnsafeMutableRawBufferPointer(rebasing: memory[place << 14..<(place + 1) << 14]))
      return true
    }

    func endBurst() {}
    deinit { unsafe memory.deallocate() }
  }

  static func address(_ number: UInt64) -> MACAddress { MACAddress(rawValue: 0x0015_5d00_0000 | number) }

  static func frame(_ size: Int, from source: UInt64, to target: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    for address in [address(target), address(source)] {
      for shift in stride(from: 40, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: address.rawValue >> UInt64(shift)))
      }
    }
    return bytes + [0x88, 0xb5] + [UInt8](repeating: 0x5a, count: size - 14)
  }

  static func send(_ sender: any FrameSender, _ bytes: [UInt8], _ count: Int) {
    FrameView.with(bytes) { frame in
      for number in 0..<count {
        sender.send(frame)
        if number % 32 == 31 { sender.flush() }
      }
    }
  }

  struct Result {
    let size: Int
    let one: Double
    let two: Double
    let allocations: Double
  }

  static func measure(_ size: Int, slices: Int) throws -> Result {
    let engine = SwitchEngine(name: "bench")
    defer { engine.stop() }
    var ports: [any SwitchConnection] = []
    for number in UInt64(1)...4 {
      let settings = PortSettings(address: address(number), maximumPayload: 9000)
      ports.append(try engine.connect("port\(number)", settings, sink: Buffers()))
    }
    let count = 400_000
    let (first, second) = (ports[0].makeSender(), ports[1])
    let frames = frame(size, from: 1, to: 3)
    send(first, frames, count / 10)
    var one: [Double] = []
    var two: [Double] = []
    var allocations: UInt64 = 0
    for _ in 0..<slices {
      let before = allocation_count()
      var begin = now()
      send(first, frames, count)
      one.append(Double(count) / (now() - begin))
      allocations += allocation_count() - before
      begin = now()
      let other = try DedicatedThread(name: "sender") {
        send(second.makeSender(), frame(size, from: 2, to: 4), count)
      }
      send(first, frames, count)
      other.join()
      two.append(Double(2 * count) / (now() - begin))
    }
    one.sort()
    two.sort()
    return Result(
      size: size, one: one[slices / 2], two: two[slices / 2], allocations: Double(allocations) / Double(slices * count))
  }

  static func now() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    func option(_ name: String) -> String? {
      guard let at = arguments.firstIndex(of: name), at + 1 < arguments.count else { return nil }
      return arguments[at + 1]
    }
    let results = try [64, 1500, 9000].map { try measure($0, slices: option("--slices").flatMap { Int($0) } ?? 5) }
    if option("--format") == "json" {
      let lines = results.map { one in
        "{\"bytes\":\(one.size),\"framesPerSecond\":\(Int(one.one)),\"twoSenders\":\(Int(one.two)),"
          + "\"allocations\":\(one.allocations)}"
      }
      print("[\(lines.joined(separator: ","))]")
    } else {
      for one in results {
        print(
          "\(one.size) bytes  \(String(format: "%.2f", one.one / 1e6)) M frames/s  two senders "
            + "\(String(format: "%.2f", one.two / 1e6)) M  \(String(format: "%.4f", one.allocations)) allocations per frame"
        )
      }
    }
    exit(results.allSatisfy { $0.allocations < 0.001 } ? 0 : 1)
  }
}
