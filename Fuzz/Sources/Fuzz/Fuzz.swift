// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What libFuzzer calls; `main` is its own. The environment variable LIS_FUZZ_TARGET names the target, since libFuzzer
/// takes every argument for itself; an unknown name prints the known ones.
enum Fuzz {
  /// One entry per parser that a peer can reach. Each is a function of the input alone.
  static let targets: [(name: String, run: @Sendable (inout Script) -> Void)] = [
    ("ring", RingTarget.run),
    ("bus-server", BusServerTarget.run),
    ("bus-client", BusClientTarget.run),
    ("bus-walk", BusWalkTarget.run),
    ("provider-heartbeat", ProviderTargets.heartbeat),
    ("provider-shutdown", ProviderTargets.shutdown),
    ("provider-time", ProviderTargets.time),
    ("provider-kvp", ProviderTargets.keyValuePair),
    ("provider-vss", ProviderTargets.volumeSnapshot),
    ("provider-filecopy", ProviderTargets.fileCopy),
    ("client-heartbeat", ClientTargets.heartbeat),
    ("client-shutdown", ClientTargets.shutdown),
    ("client-time", ClientTargets.time),
    ("client-kvp", ClientTargets.keyValuePair),
    ("client-vss", ClientTargets.volumeSnapshot),
    ("client-filecopy", FileCopyClientTarget.run),
    ("storage-walk", StorageTargets.walk),
    ("storage-client", StorageTargets.client),
    ("scsi", StorageTargets.scsi),
    ("network-walk", NetworkTargets.walk),
    ("nvsp", NetworkTargets.control),
    ("rndis", NetworkTargets.frames),
    ("packet-information", NetworkTargets.information),
    ("network-client", NetworkClientTarget.run),
    ("vhd", VHDTarget.run),
    ("vhdx", VHDXTarget.run),
    ("ide", IDETarget.run),
    ("ethernet", EthernetTarget.run),
    ("switch", SwitchTarget.run),
  ]

  /// Set once, before the first input; libFuzzer's callback has no context argument.
  nonisolated(unsafe) static var run: @Sendable (inout Script) -> Void = { _ in }
}

/// Called once, before the first input.
@c(LLVMFuzzerInitialize)
public func initialize(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>
) -> CInt {
  let name = ProcessInfo.processInfo.environment["LIS_FUZZ_TARGET"] ?? ""
  guard let target = Fuzz.targets.first(where: { $0.name == name }) else {
    for target in Fuzz.targets { print(target.name) }
    exit(name.isEmpty ? 0 : 64)
  }
  unsafe Fuzz.run = target.run
  return 0
}

/// Called for each input, on one thread.
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var script = unsafe Script(UnsafeRawBufferPointer(start: data, count: count))
  unsafe Fuzz.run(&script)
  return 0
}
