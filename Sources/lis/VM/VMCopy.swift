// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Synchronization
import VirtualMachine

struct VMCopy: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "copy", abstract: "Copy a file from the host into a guest.",
    discussion: """
      The guest's file copy daemon must run. The file appears under its name when it is complete; Ctrl-C cancels and \
      leaves nothing behind. Progress is drawn when standard error is a terminal.
      """)

  @OptionGroup var machine: MachineArgument

  @Argument(help: ArgumentHelp("The file on the host.", valueName: "file"))
  var file: String

  @Argument(
    help: ArgumentHelp("Its absolute path in the guest; with a slash at the end, the folder.", valueName: "target"))
  var target: String

  @Flag(help: "Replace the target if it exists.")
  var overwrite = false

  @Flag(help: "Create the target's folder if it is missing.")
  var createFolders = false

  @OptionGroup var format: FormatOption

  func validate() throws {
    guard target.hasPrefix("/") else {
      throw ValidationError("The target \"\(target)\" is not an absolute path in the guest, such as /tmp/name.")
    }
  }

  func perform() async throws(ControlError) {
    let source = try LocalFile(file)
    let name = file.split(separator: "/").last.map(String.init) ?? file
    let request = FileCopyRequest(
      path: target.hasSuffix("/") ? target + name : target, overwrite: overwrite, createFolders: createFolders)
    let client = machine.client
    do throws(ControlError) {
      let result = try await Interruption.cancels { () async throws(ControlError) in
        let progress = ProgressLine(source.byteCount)
        defer { progress.end() }
        return try await client.copyFile(request, from: source.source { progress.draw($0) })
      }
      StandardOutput.write(format.rendering.copied(result))
    } catch {
      guard error.code == .cancelled, let last = await Self.end(of: request.path, client) else { throw error }
      if last.details["state"] == "done" { throw ControlError(.cancelled, "too late to cancel: \(last.message)") }
      throw ControlError(.cancelled, last.message.replacing("copying \(request.path) failed: ", with: ""))
    }
  }

  /// The connection's end cancels the copy; what the machine then makes of it is among its events. Asked for some seconds.
  private static func end(of path: String, _ client: ControlClient) async -> Event? {
    for _ in 0..<50 {
      let events = Mutex<[Event]>([])
      do throws(ControlError) {
        try await client.events(since: 0, follow: false) { event in events.withLock { $0.append(event) } }
      } catch {
        return nil
      }
      let (isOver, last) = events.withLock { Self.end(of: path, in: $0) }
      if isOver { return last }
      try? await Task.sleep(for: .milliseconds(100))
    }
    return nil
  }

  /// Whether no copy to `path` is under way, and the event that ended the last one.
  static func end(of path: String, in events: [Event]) -> (isOver: Bool, last: Event?) {
    guard let last = events.last(where: { $0.kind == .copy && $0.details["path"] == path }) else { return (true, nil) }
    return last.details["state"] == "started" ? (false, nil) : (true, last)
  }
}
