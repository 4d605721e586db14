// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import FoundationEssentials
import Glibc
import Partition
import SoftwareMachine
import Synchronization
import VirtualDisks
import VirtualMachine
import VirtualSwitch

/// Runs one machine in the foreground: here on KVM, or in the software machine, whichever was chosen.
enum MachineRunner {
  /// What the inner program gets from the outer one.
  private struct Orders: Codable {
    var configuration: VirtualMachineConfiguration
    /// Why the software machine was chosen, for `lis vm show`.
    var reason: String
    /// The outer process.
    var processID: Int32
    /// Standard error is a terminal.
    var onTerminal: Bool
  }

  /// Returns the exit code of `lis run`. `say` takes lines for standard error.
  static func run(
    _ configuration: VirtualMachineConfiguration, say: @escaping @Sendable (String) -> Void
  ) async throws(ControlError) -> ExitStatus {
    let choice: AcceleratorChoice
    do throws(AcceleratorError) {
      choice = try AcceleratorChoice.choose(
        AcceleratorPreference(rawValue: configuration.accelerator.rawValue) ?? .auto)
    } catch {
      throw ControlError(error)
    }
    say(choice.line)
    let name = try MachineName.parse(configuration.name)
    let early: EarlyInterruption
    do throws(PartitionError) { early = try EarlyInterruption() } catch { throw ControlError(error) }
    defer { early.end() }
    let claim = try early.making { () throws(ControlError) in
      try RuntimeClaim(name)
    } undo: {
      $0.release()
    }
    defer { claim.release() }
    let terminal = early.making {
      configuration.serial == .interactive ? TerminalInput() : nil
    } undo: {
      $0?.end()
    }
    defer { terminal?.end() }
    switch choice.accelerator {
    case .kvm:
      return try await runHere(
        configuration, AcceleratorInUse(name: "kvm", reason: choice.reason), files: nil, socket: claim.socket,
        streams: ConsoleStreams(input: terminal?.input, output: 1), steered: { early.handOver() }, say: say)
    case .software:
      return try runInSoftware(
        configuration, choice.reason, claim.socket, input: terminal?.input, steered: { early.handOver() }, say: say)
    }
  }

  private static func runHere(
    _ configuration: VirtualMachineConfiguration, _ accelerator: AcceleratorInUse, files: BootFiles?, socket: String,
    streams: ConsoleStreams, steered: @Sendable () -> Void = {}, say: @escaping @Sendable (String) -> Void,
    over: @Sendable (ExitStatus) -> Void = { _ in }
  ) async throws(ControlError) -> ExitStatus {
    let (end, _) = try await MachineSession.run(
      configuration, accelerator: accelerator, files: files, socket: socket, streams: streams, steered: steered,
      say: say,
      over: { end, detail in
        if let detail { say(detail) }
        over(end.exitStatus)
      })
    return end.exitStatus
  }

  private static func runInSoftware(
    _ configuration: VirtualMachineConfiguration, _ reason: String, _ socket: String, input: Int32?,
    steered: @escaping @Sendable () -> Void, say: @escaping @Sendable (String) -> Void
  ) throws(ControlError) -> ExitStatus {
    let orders: [UInt8]
    do {
      var inside = configuration
      // A console file is written out here: inside there is no such folder.
      if case .file = configuration.serial { inside.serial = .interactive }
      orders = [UInt8](
        try JSONEncoder().encode(
          Orders(configuration: inside, reason: reason, processID: getpid(), onTerminal: isatty(2) == 1)))
    } catch {
      throw ControlError(.hostFailure, "the configuration cannot be written down: \(error)")
    }
    // Out here: inside, the unpacking would take many times as long.
    let unpacked =
      configuration.unpackKernel.isForGuest(isNested: true) ? nil : UnpackedKernelFile(configuration.kernel)
    defer { withExtendedLifetime(unpacked) {} }
    var machine = SoftwareMachine.Configuration(
      orders: orders, files: [unpacked?.path ?? configuration.kernel] + (configuration.initramfs.map { [$0] } ?? []),
      memoryBytes: configuration.memory.rawValue, controlSocket: socket, progress: say)
    machine.processors = configuration.processors
    let grants = try grants(configuration)
    machine.images = grants
    machine.clientRequest = { request in
      guard let disk = DiskConfiguration(requestedBy: request.method, request.target, request.body),
        let path = disk.path
      else { return }
      grants.allow(path, disk.imageOptions)
    }
    machine.input = input ?? -1
    machine.steered = steered
    machine.lost = { if let notice = ConsoleStreams.lossNotice($0) { say(notice) } }
    let relay = try NetworkRelay(configuration.adapters, machine: configuration.name)
    defer { relay.stop() }
    machine.networks = relay.descriptors
    let file = try SerialFile.open(configuration.serial)
    defer { if let file { close(file) } }
    if let file { machine.output = file }
    let code: Int32
    do throws(SoftwareMachineError) {
      code = try SoftwareMachine(machine).run()
    } catch {
      throw ControlError(error)
    }
    guard let status = ExitStatus(rawValue: code) else {
      throw ControlError(.hostFailure, "the program in the software machine ended with code \(code)")
    }
    return status
  }

  /// The images of the configuration, opened here and now: what is wrong with one is said before anything else happens.
  private static func grants(_ configuration: VirtualMachineConfiguration) throws(ControlError) -> ImageGrants {
    let grants = ImageGrants()
    for disk in configuration.disks + configuration.ideDrives.map(\.disk) {
      guard let path = disk.path else { continue }
      do throws(ImageError) {
        try grants.open(path, disk.imageOptions)
      } catch {
        throw ControlError(error)
      }
    }
    return grants
  }

  // MARK: Inside the software machine

  static func runInside() async -> Never {
    await InnerMachine.main(warm: { warm() }, run: { await carryOut($0) })
  }

  /// Touches what a run needs, so that its pages are in memory and its code has run once when the state is saved.
  private static func warm() {
    let example = VirtualMachineConfiguration(name: "warm", kernel: "/")
    let orders = Orders(configuration: example, reason: "", processID: 1, onTerminal: false)
    if let json = try? JSONEncoder().encode(orders) { _ = try? JSONDecoder().decode(Orders.self, from: json) }
  }

  /// The inner ends of the streams that the outer process passes frames to.
  private static func streams(_ configuration: VirtualMachineConfiguration) -> [NetworkWay: FrameStreamSource] {
    var streams: [NetworkWay: FrameStreamSource] = [:]
    for (index, way) in NetworkWay.all(configuration.adapters).enumerated() {
      streams[way] = InnerNetwork.device(index).map { .device($0) }
    }
    return streams
  }

  private static func carryOut(_ inner: InnerOrders) async -> Int32 {
    let say: @Sendable (String) -> Void = { StandardError.line($0) }
    do {
      let early = try EarlyInterruption()
      defer { early.end() }
      let orders = try JSONDecoder().decode(Orders.self, from: Data(inner.configuration))
      if orders.onTerminal { StandardError.isTerminal.store(true, ordering: .relaxed) }
      guard let kernel = inner.files.first else { return ExitStatus.hostFailure.rawValue }
      let configuration = orders.configuration
      let files = BootFiles(
        kernel: BootFile(path: kernel.path, name: configuration.kernel, length: kernel.byteCount),
        initramfs: inner.files.dropFirst().first.map {
          BootFile(path: $0.path, name: configuration.initramfs, length: $0.byteCount)
        }, images: InnerMachine.images, networks: .relayed(streams(configuration)))
      let accelerator = AcceleratorInUse(name: "software", reason: orders.reason, processID: orders.processID)
      let status = try await runHere(
        configuration, accelerator, files: files, socket: InnerMachine.controlSocket,
        streams: ConsoleStreams(input: 0, output: 1), steered: { early.handOver() }, say: say,
        over: { InnerMachine.ends(with: $0.rawValue) })
      return status.rawValue
    } catch let error as ControlError {
      StandardError.report(error)
      return error.code.exitCode.rawValue
    } catch let error as PartitionError {
      StandardError.report(ControlError(error))
      return ExitStatus.hostFailure.rawValue
    } catch {
      say("the orders cannot be read: \(error)")
      return ExitStatus.hostFailure.rawValue
    }
  }
}
