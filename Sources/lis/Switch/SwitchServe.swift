// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Glibc
import HostSystem
import Partition
import VirtualMachine

/// The process of a switch. `lis switch create` starts it and reads on its standard output how that went.
struct SwitchServe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Be the process of a switch.", shouldDisplay: false)

  @OptionGroup var target: SwitchArgument
  @OptionGroup var options: SwitchOptions

  func run() async throws {
    do throws(ControlError) {
      try await serve()
    } catch {
      SwitchProcess.tell(error)
      throw ExitCode(error.code.exitCode.rawValue)
    }
  }

  private func serve() async throws(ControlError) {
    let name = target.name
    // It must not keep the folder in use that it was started in.
    _ = unsafe chdir("/")
    let uplink = try options.uplink(of: name)
    let claim = try claim(name)
    defer { claim.release() }
    let socket = try ControlServer.listen(at: claim.socket)
    let service = try SwitchService(
      name, kind: options.kind, uplink: uplink, mtu: options.mtu,
      portSocket: RuntimeDirectory.switches().ports(of: name))
    defer { service.stop() }
    let server = try await ControlServer.start(serving: service, on: socket)
    let watch: SignalWatch
    do throws(PartitionError) { watch = try SignalWatch { _ in service.end() } } catch { throw ControlError(error) }
    SwitchProcess.tell(nil)
    await service.waitForEnd()
    watch.end()
    await server.stop()
  }

  private func claim(_ name: MachineName) throws(ControlError) -> RuntimeClaim {
    do throws(ControlError) {
      return try RuntimeClaim(name, in: .switches())
    } catch {
      guard error.code == .alreadyRunning else { throw error }
      throw ControlError(
        .alreadyRunning, "a switch named \(name) is there already",
        remedy: "choose another name, or remove it with `lis switch remove \(name)`")
    }
  }
}
