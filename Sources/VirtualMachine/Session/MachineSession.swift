// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import Glibc
import HostSystem
import Partition

/// One machine in the foreground of this process, from its making to its end: the machine, its control server, its
/// console, and what signals mean. The same on KVM and inside the software machine. A client that goes away in the middle
/// of an answer raises SIGPIPE, which the watch for signals ignores.
public enum MachineSession {
  /// `socket`: where the control API listens; its folder is claimed already. `steered` is called when the machine
  /// listens for signals. `say`: lines for standard error. `over` learns the same as the caller, before the guest's memory
  /// is given back: everything else is done by then.
  ///
  /// Throws when the machine could not be made or started; otherwise how it ended, with a word on why if there is one.
  public static func run(
    _ configuration: VirtualMachineConfiguration, accelerator: AcceleratorInUse, files: BootFiles? = nil,
    socket: String?, streams: ConsoleStreams, steered: @Sendable () -> Void = {},
    say: @escaping @Sendable (String) -> Void, over: @Sendable (MachineEnd, String?) -> Void = { _, _ in }
  ) async throws(ControlError) -> (end: MachineEnd, detail: String?) {
    let file = try SerialFile.open(configuration.serial)
    defer { if let file { close(file) } }
    let output = (file ?? streams.output).map { descriptor in
      DescriptorSink(descriptor) { if let notice = ConsoleStreams.lossNotice($0) { say(notice) } }
    }
    let machine = try VirtualMachine(configuration, accelerator: accelerator, files: files, output: output)
    let steering: SignalSteering
    do throws(PartitionError) { steering = try SignalSteering(machine, say: say) } catch { throw ControlError(error) }
    defer { steering.end() }
    steered()
    // Clients can connect from here on. They are served once the guest runs, which does not wait for the server's making.
    let listening = try listen(socket)
    let reader: ConsoleReader?
    do throws(PartitionError) { reader = try startReader(machine, streams) } catch { throw ControlError(error) }
    defer { reader?.stop() }
    var server: ControlServer?
    let result: Result<(end: MachineEnd, detail: String?), ControlError>
    do throws(ControlError) {
      try machine.start()
      if let listening { server = try await serve(machine, on: listening) }
      result = .success(await machine.waitForEnd())
    } catch {
      result = .failure(error)
    }
    reader?.stop()
    await server?.stop()
    let (end, detail) = try result.get()
    withExtendedLifetime(machine) { over(end, detail) }
    return (end, detail)
  }

  private static func listen(_ socket: String?) throws(ControlError) -> Descriptor? {
    guard let socket else { return nil }
    return try ControlServer.listen(at: socket)
  }

  /// A machine that cannot be controlled is not left running.
  private static func serve(
    _ machine: VirtualMachine, on socket: consuming Descriptor
  ) async throws(ControlError) -> ControlServer {
    do throws(ControlError) {
      return try await ControlServer.start(serving: machine, on: socket)
    } catch {
      try? await machine.turnOff()
      throw error
    }
  }

  private static func startReader(
    _ machine: VirtualMachine, _ streams: ConsoleStreams
  ) throws(PartitionError) -> ConsoleReader? {
    guard let input = streams.input, case .interactive = machine.configuration.serial, let console = machine.console
    else { return nil }
    return try ConsoleReader(input) { console.type($0) }
  }
}
