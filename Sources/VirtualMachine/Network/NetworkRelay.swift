// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import Glibc
import HostSystem
import VirtualSwitch

/// The outer half of a software machine's network: opens the ways out that its user named, and passes frames between each
/// and the stream to the machine. What an adapter may send is judged inside, by the same switch as everywhere.
public final class NetworkRelay: Sendable {
  /// The machine's ends of the streams, in the order of `NetworkWay.all`.
  public let descriptors: [Int32]
  private let ours: [Int32]
  private let engines: [SwitchEngine]

  public init(_ adapters: [NetworkAdapterConfiguration], machine: String) throws(ControlError) {
    var engines: [SwitchEngine] = []
    var ours: [Int32] = []
    var theirs: [Int32] = []
    do {
      for way in NetworkWay.all(adapters) {
        let users = adapters.filter { NetworkWay($0) == way }
        guard let adapter = users.first, let uplink = way.uplink(adapter, machine: machine) else { continue }
        let payload = users.map(\.maximumPayload).max() ?? adapter.maximumPayload
        let engine = SwitchEngine(name: "\(way.connection)")
        engines.append(engine)
        try engine.add(uplink, named: "uplink", .uplink(maximumPayload: payload))
        let pair = try Descriptor.socketPair()
        try pair.enlarge(4 << 20)
        ours.append(try pair.first.duplicate())
        theirs.append(try pair.second.duplicate())
        try engine.add(.stream(.descriptor(ours[ours.count - 1])), named: "machine", .uplink(maximumPayload: payload))
      }
    } catch {
      for engine in engines { engine.stop() }
      for number in ours + theirs { close(number) }
      switch error {
      case let error as SwitchError: throw ControlError(error)
      default: throw ControlError(.hostFailure, "the network cannot be connected: \(error)")
      }
    }
    self.engines = engines
    self.ours = ours
    descriptors = theirs
  }

  public func stop() { for engine in engines { engine.stop() } }

  deinit { for number in ours + descriptors { close(number) } }
}

extension Descriptor {
  fileprivate func duplicate() throws(SystemError) -> Int32 {
    let number = fcntl(number, F_DUPFD_CLOEXEC, 0)
    guard number >= 0 else { throw SystemError("dup") }
    return number
  }
}

extension DescriptorPair {
  /// Room for bursts of frames.
  fileprivate func enlarge(_ byteCount: Int32) throws(SystemError) {
    for number in [first.number, second.number] {
      var room = byteCount
      let result = unsafe setsockopt(number, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
      guard result == 0 else { throw SystemError("setsockopt") }
    }
  }
}
