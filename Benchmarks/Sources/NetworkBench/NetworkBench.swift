// SPDX-License-Identifier: Apache-2.0

import CAllocationCount
import DeviceProtocols
import Foundation
import HostSystem
import Synchronization
import VirtualSwitch

/// `NetworkBench [--format table|json] [--slices N] [--reference SIZE=PACKETS,…]`: the way of a frame in one process, from
/// the queue of one guest's driver to another's: ring, host's channel, switch, host's channel, ring; with one channel and
/// with two. One copy, the host's. `--reference`: packets per second of something else, to be compared with.
@main
enum NetworkBench {
  static let scaling = 1.5
  static let ratio = 0.5
  static let mtu: UInt32 = 9000

  struct Work {
    let name: String
    let byteCount: Int
    let isLarge: Bool
    let count: Int
    let burst: Int
  }

  static let works = [
    Work(name: "64", byteCount: 64, isLarge: false, count: 200_000, burst: 32),
    Work(name: "1500", byteCount: 1514, isLarge: false, count: 150_000, burst: 32),
    Work(name: "9000", byteCount: 9014, isLarge: false, count: 60_000, burst: 32),
    Work(name: "64K", byteCount: 65_535, isLarge: true, count: 15_000, burst: 8),
  ]

  static let first: UInt64 = 0x0015_5D00_0001
  static let second: UInt64 = 0x0015_5D00_0002

  /// TCP, whose ports are in the hash; a large one's segments are still to be cut.
  static func frame(_ work: Work, port: UInt16) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ value: UInt64, _ count: Int) {
      for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))) }
    }
    append(second, 6)
    append(first, 6)
    append(0x0800, 2)
    let total = work.byteCount - 14
    append(0x4500, 2)
    append(UInt64(total), 2)
    append(0x0000_4000, 4)
    append(0x4006, 2)
    append(0, 2)
    append(0x0a00_0001, 4)
    append(0x0a00_0002, 4)
    append(UInt64(port), 2)
    append(5001, 2)
    append(1, 4)
    append(1, 4)
    append(0x5010_ffff, 4)
    append(0, 4)
    return bytes + [UInt8](repeating: 0x5a, count: work.byteCount - bytes.count)
  }

  static func information(_ work: Work) -> PacketInformation {
    var information = PacketInformation()
    if work.isLarge { information.largeSend = LargeSend(segmentSize: 8948, transportOffset: 34, isIPv6: false) }
    return information
  }

  @safe final class Lane: @unchecked Sendable {
    let from: BenchAdapter
    let to: BenchAdapter
    let number: Int
    let sender: any FrameSender

    init(_ from: BenchAdapter, _ to: BenchAdapter, _ number: Int, _ sender: any FrameSender) {
      self.from = from
      self.to = to
      self.number = number
      self.sender = sender
    }

    /// Frames whose hash leads to the channel of the same number.
    func prepare(_ work: Work) {
      for port in UInt16(1000)..<2000 {
        let bytes = NetworkBench.frame(work, port: port)
        if to.channel(of: unsafe bytes.span.bytes.extracting(first: min(128, bytes.count))) == number {
          from.channels[number].prepare(bytes)
          return
        }
      }
      preconditionFailure("no frame is for channel \(number)")
    }

    func run(_ work: Work, _ count: Int) throws {
      let (near, far) = (from.channels[number], to.channels[number])
      let information = NetworkBench.information(work)
      let target = far.received + count
      while far.received < target {
        _ = try near.send(min(work.burst, target - far.received), byteCount: work.byteCount, information)
        try from.serve(near, sender)
        try to.take(far)
        try to.serve(far, nil)
        try from.take(near)
      }
    }
  }

  struct Result {
    let work: Work
    let one: Double
    let two: Double
    let allocations: Double
    var reference: Double?
  }

  static func measure(_ work: Work, slices: Int) throws -> Result {
    let engine = SwitchEngine(name: "bench")
    defer { engine.stop() }
    let near = try BenchAdapter(first, channels: 2, mtu: mtu)
    let far = try BenchAdapter(second, channels: 2, mtu: mtu)
    func connect(_ name: String, _ address: UInt64, _ adapter: BenchAdapter) throws -> any SwitchConnection {
      try engine.connect(
        name, PortSettings(address: MACAddress(rawValue: address), maximumPayload: Int(mtu)),
        capabilities: adapter.capabilities, sink: adapter)
    }
    let port = try connect("near", first, near)
    _ = try connect("far", second, far)
    let lanes = (0..<2).map { Lane(near, far, $0, port.makeSender()) }
    for lane in lanes {
      lane.prepare(work)
      try lane.run(work, work.count / 10)
    }
    var one: [Double] = []
    var two: [Double] = []
    var allocations: UInt64 = 0
    for _ in 0..<slices {
      let before = allocation_count()
      var begin = now()
      try lanes[0].run(work, work.count)
      one.append(Double(work.count) / (now() - begin))
      allocations += allocation_count() - before
      begin = now()
      let other = try DedicatedThread(name: "channel") {
        do { try lanes[1].run(work, work.count) } catch { preconditionFailure("\(error)") }
      }
      try lanes[0].run(work, work.count)
      other.join()
      two.append(Double(2 * work.count) / (now() - begin))
    }
    let failed = (near.channels + far.channels).reduce(0) { $0 + $1.failed }
    precondition(failed == 0, "\(failed) packets failed")
    return Result(
      work: work, one: one.sorted()[slices / 2], two: two.sorted()[slices / 2],
      allocations: Double(allocations) / Double(slices * work.count))
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
    var references: [String: Double] = [:]
    for pair in option("--reference")?.split(separator: ",") ?? [] {
      let words = pair.split(separator: "=")
      if words.count == 2 { references[String(words[0])] = Double(words[1]) }
    }
    let slices = option("--slices").flatMap { Int($0) } ?? 5
    let results = try works.map { work in
      var result = try measure(work, slices: slices)
      result.reference = references[work.name]
      return result
    }
    if option("--format") == "json" {
      let lines = results.map { one in
        "{\"bytes\":\"\(one.work.name)\",\"packetsPerSecond\":\(Int(one.one)),\"twoChannels\":\(Int(one.two)),"
          + "\"allocations\":\(one.allocations)"
          + (one.reference.map { ",\"reference\":\(Int($0)),\"ratio\":\(String(format: "%.2f", one.one / $0))" } ?? "")
          + "}"
      }
      print("[\(lines.joined(separator: ","))]")
    } else {
      for one in results {
        let reference = one.reference.map {
          "  testpmd \(String(format: "%.3f", $0 / 1e6)) M, ratio \(String(format: "%.2f", one.one / $0))"
        }
        print(
          "\(one.work.name) bytes  \(String(format: "%.3f", one.one / 1e6)) M packets/s  two channels "
            + "\(String(format: "%.2f", one.two / one.one)) times as many  "
            + "\(String(format: "%.4f", one.allocations)) allocations per packet" + (reference ?? ""))
      }
    }
    let holds = results.allSatisfy { one in
      one.allocations < 0.001 && one.two >= scaling * one.one && one.reference.map { one.one >= ratio * $0 } != false
    }
    exit(holds ? 0 : 1)
  }
}
