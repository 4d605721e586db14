// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// A child process that dies with the thread that started it.
struct ChildProcess: ~Copyable {
  let identifier: pid_t
  /// Readable when the child has ended.
  let ended: Descriptor

  /// Starts `path` with the given descriptors as 0, 1, 2, ….
  init(
    _ path: String, _ arguments: [String], environment: [String]? = nil, descriptors: [Int32]
  ) throws(SystemError) {
    let list = unsafe CStringList([path] + arguments)
    let process: pid_t
    if let environment {
      let variables = unsafe CStringList(environment)
      process = unsafe clinux_spawn(path, list.pointers, variables.pointers, descriptors, Int32(descriptors.count))
    } else {
      process = unsafe clinux_spawn(path, list.pointers, environ, descriptors, Int32(descriptors.count))
    }
    guard process > 0 else { throw SystemError("start", path, error: -process) }
    let watch = clinux_process_descriptor(process)
    guard watch >= 0 else {
      _ = kill(process, SIGKILL)
      _ = waitpid(process, nil, 0)
      throw SystemError("pidfd_open", path, error: -watch)
    }
    identifier = process
    ended = Descriptor(owning: watch)
  }

  /// How a process ended.
  enum End: Equatable {
    case exited(Int32)
    case killed(signal: Int32)
  }

  /// Waits for the end.
  func wait() -> End {
    var status: Int32 = 0
    while unsafe waitpid(identifier, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
  }

  /// Kills at once, with the processes that it started itself (it leads a session), and collects the process.
  func killAndWait() {
    _ = kill(-identifier, SIGKILL)
    _ = wait()
  }
}

/// A null-terminated list of C strings that lives as long as this object.
@unsafe final class CStringList {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    unsafe pointers = .allocate(capacity: strings.count + 1)
    unsafe count = strings.count
    for (index, string) in strings.enumerated() { unsafe pointers[index] = unsafe strdup(string) }
    unsafe pointers[strings.count] = nil
  }

  deinit {
    for index in 0..<(unsafe count) { unsafe free(pointers[index]) }
    unsafe pointers.deallocate()
  }
}

/// Small helper programs (apt-get, dpkg-deb, strip), run to their end with their output kept.
enum Command {
  struct Result {
    let succeeded: Bool
    /// Standard output.
    let output: String
    /// Standard error, the last 4 KiB.
    let errors: String
  }

  /// The program's path in PATH and the folders of the system's tools.
  static func find(_ name: String) -> String? {
    if name.hasPrefix("/") { return unsafe access(name, X_OK) == 0 ? name : nil }
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    for folder in path.split(separator: ":") + ["/usr/bin", "/bin", "/usr/sbin", "/sbin"] {
      let candidate = "\(folder)/\(name)"
      if unsafe access(candidate, X_OK) == 0 { return candidate }
    }
    return nil
  }

  /// Runs a program; `interrupted` is asked about every 100 ms and ends it when it gives a signal.
  static func run(
    _ name: String, _ arguments: [String], folder: String? = nil, outputFile: Int32? = nil, interrupts: Interrupts
  ) throws(SoftwareMachineError) -> Result {
    guard let path = find(name) else { throw .preparation("the program \(name) was not found") }
    do {
      let null = try Descriptor.open("/dev/null", O_RDWR)
      let out = try Descriptor.pipe()
      let err = try Descriptor.pipe()
      // apt-get has no option for its working folder that we would trust more than a shell's cd; `env -C` is coreutils.
      var (program, list) = (path, arguments)
      if let folder, let env = find("env") { (program, list) = (env, ["-C", folder, path] + arguments) }
      let child = try ChildProcess(
        program, list, descriptors: [null.number, outputFile ?? out.second.number, err.second.number])
      var output: [UInt8] = []
      var errors: [UInt8] = []
      Stream.setNonblocking(out.first.number)
      Stream.setNonblocking(err.first.number)
      var over = false
      while !over {
        var entries = [child.ended.number, out.first.number, err.first.number].map {
          pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        _ = Stream.poll(&entries, milliseconds: 100)
        over = entries[0].revents != 0
        while case .bytes = Stream.read(out.first.number, into: &output, limit: 65536) {}
        while case .bytes = Stream.read(err.first.number, into: &errors, limit: 65536) {}
        if output.count > 4 << 20 { output.removeAll() }
        if errors.count > 4096 { errors.removeSubrange(..<(errors.count - 4096)) }
        if let signal = interrupts.pending() {
          child.killAndWait()
          throw SoftwareMachineError.interrupted(signal: signal)
        }
      }
      return Result(
        succeeded: child.wait() == .exited(0), output: String(decoding: output, as: UTF8.self),
        errors: String(decoding: errors, as: UTF8.self))
    } catch let error as SystemError {
      throw .preparation("cannot run \(name): \(error)")
    } catch let error as SoftwareMachineError {
      throw error
    } catch {
      throw .preparation("cannot run \(name)")
    }
  }
}
