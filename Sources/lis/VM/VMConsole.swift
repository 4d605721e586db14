// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Dispatch
import Glibc

struct VMConsole: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "console", abstract: "Attach to a machine's serial console.",
    discussion: """
      On a terminal every key goes to the guest, Ctrl-C included; Ctrl-] detaches. The machine goes on, and others may be \
      attached as well. Where standard input is not a terminal, what comes there is typed, and the console stays \
      attached after its end.
      """)

  @OptionGroup var machine: MachineArgument

  @Flag(help: "Print what the guest printed last before going on.")
  var replay = false

  @Flag(help: "Only watch: type nothing.")
  var readOnly = false

  func perform() async throws(ControlError) {
    let client = machine.client
    // Before the terminal changes its mode: a machine that is not there is a plain error.
    _ = try await client.describe()
    let isRaw = !readOnly && isatty(0) == 1
    if isRaw { StandardError.line("attached to \(machine.name); Ctrl-] detaches") }
    do throws(ControlError) {
      let (replay, readOnly) = (replay, readOnly)
      try await Interruption.cancels { () async throws(ControlError) in
        let terminal = readOnly ? nil : TerminalInput()
        defer { terminal?.end() }
        let typing = Task { if let input = terminal?.input { await Self.type(input, client) } }
        defer { typing.cancel() }
        try await client.consoleOutput(replay: replay) { StandardOutput.write($0) }
      }
    } catch {
      // Detaching is how this command is meant to end.
      guard error.code == .cancelled, isRaw else { throw error }
      StandardError.raw("\n")
      StandardError.line("detached from \(machine.name)")
    }
  }

  /// Until the end of the input. Pieces are sent one after the other, which keeps their order.
  private static func type(_ descriptor: Int32, _ client: ControlClient) async {
    let (pieces, continuation) = AsyncStream.makeStream(of: [UInt8].self)
    let source = DispatchSource.makeReadSource(
      fileDescriptor: descriptor, queue: DispatchQueue(label: "swift-lis.typing"))
    source.setEventHandler {
      var buffer = [UInt8](repeating: 0, count: 16_384)
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count > 0 {
        continuation.yield(Array(buffer[..<count]))
      } else {
        continuation.finish()
      }
    }
    source.resume()
    defer { source.cancel() }
    for await piece in pieces {
      do throws(ControlError) {
        try await client.consoleInput(piece)
      } catch {
        return  // the reading side finds out why
      }
    }
  }
}
