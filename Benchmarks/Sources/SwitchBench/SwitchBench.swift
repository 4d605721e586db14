// SPDX-License-Identifier: Apache-2.0

import CAllocationCount
import Foundation
import HostSystem
import VirtualSwitch

/// `SwitchBench [--format table|json] [--slices N]`: frames per second from one adapter of a switch to another, in this
/// process, copied once; with two senders at once, at ports of their own and at one; allocations per frame.
@main
enum SwitchBench {
  static let target = 1.5

  /// Copies each frame to the next place of its memory, as a guest's receive buffers are filled: those of a channel of its
  /// own for each sender.
  @safe final class Buffers: SwitchPortSink {
    private static let senders = 8
    private struct Channel {
      var next = 0
      /// What follows is in nobody's way.
      var pad = InlineArray<15, Int>(repeating: 0)
    }
    private nonisolated(unsafe) let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: senders << 20, alignment: 4096)
    private nonisolated(unsafe) let channels = UnsafeMutablePointer<Channel>.allocate(capacity: senders)

    init() { unsafe channels.initialize(repeating: Channel(), count: Self.senders) }

    func accept(_ frame: FrameView, from sender: Int) -> Bool {
      let channel = sender % Self.senders
      unsafe channels[channel].next = unsafe (channels[channel].next + 1) & 63
      let place = unsafe channel << 20 + channels[channel].next << 14
      unsafe frame.copy(to: UnsafeMutableRawBufferPointer(rebasing: memory[place..<place + 1 << 14]))
      return true
    }

    func endBurst(from sender: Int) {}
    deinit {
      unsafe memory.deallocate()
      unsafe channels.deallocate()
    }
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
    /// With two senders, at two ports and at one.
    let apart: Double
    let together: Double
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
    let first = ports[0].makeSender()
    let frames = frame(size, from: 1, to: 3)
    /// Both at once, each in a rhythm of its own.
    func both(_ port: Int, _ frames: [UInt8]) throws -> Double {
      let second = ports[port].makeSender()
      let begin = now()
      nonisolated(unsafe) let sender = second
      let other = try DedicatedThread(name: "sender") { unsafe send(sender, frames, count) }
      send(first, Self.frame(size, from: 1, to: 3), count)
      other.join()
      return Double(2 * count) / (now() - begin)
    }
    send(first, frames, count / 10)
    var one: [Double] = []
    var apart: [Double] = []
    var together: [Double] = []
    var allocations: UInt64 = 0
    for _ in 0..<slices {
      let before = allocation_count()
      let begin = now()
      send(first, frames, count)
      one.append(Double(count) / (now() - begin))
      allocations += allocation_count() - before
      apart.append(try both(1, frame(size, from: 2, to: 4)))
      together.append(try both(0, frames))
    }
    return Result(
      size: size, one: one.sorted()[slices / 2], apart: apart.sorted()[slices / 2],
      together: together.sorted()[slices / 2], allocations: Double(allocations) / Double(slices * count))
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
        "{\"bytes\":\(one.size),\"framesPerSecond\":\(Int(one.one)),\"twoSenders\":\(Int(one.apart)),"
          + "\"twoSendersAtOnePort\":\(Int(one.together)),\"allocations\":\(one.allocations)}"
      }
      print("[\(lines.joined(separator: ","))]")
    } else {
      for one in results {
        print(
          "\(one.size) bytes  \(millions(one.one)) M frames/s  two senders \(millions(one.apart)) M  at one port "
            + "\(millions(one.together)) M  \(String(format: "%.4f", one.allocations)) allocations per frame")
      }
    }
    let holds = results.allSatisfy { one in
      one.allocations < 0.001 && min(one.apart, one.together) >= target * one.one
    }
    exit(holds ? 0 : 1)
  }

  static func millions(_ value: Double) -> String { String(format: "%.2f", value / 1e6) }
}
