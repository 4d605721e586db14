// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// User-mode NAT without privileges: passt as a child, with a stream socket between us. Each frame has its length before
/// it, four bytes in network order.
final class PasstDriver: FrameDriver {
  private let forwardings: [PortForwarding]
  private let payload: Int
  private let program: String
  private let stream = FrameStream(peer: "passt")
  private struct Child {
    var process: Int32 = 0
    /// What it says on standard error.
    var words: Int32 = -1
  }
  private let child = Mutex(Child())
  /// `payload`: the MTU that passt hands out.
  init(_ forwardings: [PortForwarding], payload: Int, program: String = "passt") {
    self.forwardings = forwardings
    self.payload = payload
    self.program = program
  }

  var detail: String { (["passt"] + forwardings.map(\.description)).joined(separator: " ") }
  let capabilities = PortCapabilities.none
  var comesBack: Bool { true }

  func whenPending(_ wake: @escaping @Sendable () -> Void) { stream.whenPending(wake) }

  // MARK: The child

  /// On a thread that lives until `close`: the child dies with it.
  func open() throws(SwitchError) -> [Int32] {
    guard let path = Self.find(program) else { throw .noPasst(program) }
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw .system(SystemError("socketpair")) }
    let ours = Descriptor(owning: pair[0])
    let theirs = Descriptor(owning: pair[1])
    var room: Int32 = 4 << 20
    unsafe setsockopt(ours.number, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    unsafe setsockopt(theirs.number, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    Stream.setNonblocking(ours.number)
    do throws(SystemError) {
      try start(path, theirs.number)
    } catch {
      throw .system(error)
    }
    if let words = earlyEnd() { throw .passtFailed(words) }
    let number = ours.take()
    stream.open(number)
    return [number]
  }

  private func start(_ path: String, _ socket: Int32) throws(SystemError) {
    let nothing = try Descriptor.open("/dev/null", O_RDWR)
    let words = try Descriptor.pipe()
    // passt must neither wait for a reader of its words nor end without one.
    Stream.setNonblocking(words.first.number)
    Stream.setNonblocking(words.second.number)
    let descriptors = [nothing.number, nothing.number, words.second.number, socket]
    let process = Self.spawn(path, arguments, descriptors)
    guard process > 0 else { throw SystemError("exec", path, error: -process) }
    let kept = fcntl(words.first.number, F_DUPFD_CLOEXEC, 0)
    child.withLock { $0 = Child(process: process, words: kept) }
  }

  private var arguments: [String] {
    var list = ["passt", "--foreground", "--stderr", "--quiet", "--fd", "3", "--mtu", "\(payload)"]
    for forwarding in forwardings { list += [forwarding.transport == .tcp ? "-t" : "-u", forwarding.passt] }
    return list
  }

  private static func spawn(_ path: String, _ arguments: [String], _ descriptors: [Int32]) -> Int32 {
    var list = unsafe arguments.map { unsafe strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = unsafe [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
    defer {
      for index in unsafe list.indices { unsafe free(list[index]) }
      unsafe free(environment[0])
    }
    return unsafe clinux_spawn(path, &list, &environment, descriptors, Int32(descriptors.count))
  }

  /// In PATH, or where Debian has it.
  static func find(_ program: String) -> String? {
    if program.contains("/") { return unsafe access(program, X_OK) == 0 ? program : nil }
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    for folder in path.split(separator: ":").map(String.init) + ["/usr/bin", "/usr/local/bin"] {
      let candidate = "\(folder)/\(program)"
      if unsafe access(candidate, X_OK) == 0 { return candidate }
    }
    return nil
  }

  /// passt says nothing when it is ready. When it cannot start it ends soon; what it said then is the reason.
  private func earlyEnd() -> String? {
    child.withLock { child in
      let handle = clinux_process_descriptor(child.process)
      guard handle >= 0 else { return nil }
      defer { Glibc.close(handle) }
      var entries = [pollfd(fd: handle, events: Int16(POLLIN), revents: 0)]
      guard Stream.poll(&entries, milliseconds: 100) else { return nil }
      var status: Int32 = 0
      unsafe waitpid(child.process, &status, 0)
      var text: [UInt8] = []
      _ = Stream.read(child.words, into: &text, limit: 4096)
      Glibc.close(child.words)
      child = Child()
      let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").filter { !$0.contains("syslog") }
      return lines.last.map(String.init) ?? "it ended at once"
    }
  }

  func close() {
    stream.close()
    let child = self.child.withLock { child in
      defer { child = Child() }
      return child
    }
    guard child.process > 0 else { return }
    // It ends with its socket; what hangs is killed.
    let handle = clinux_process_descriptor(child.process)
    var entries = [pollfd(fd: handle, events: Int16(POLLIN), revents: 0)]
    if handle < 0 || !Stream.poll(&entries, milliseconds: 1000) { kill(child.process, SIGKILL) }
    if handle >= 0 { Glibc.close(handle) }
    var status: Int32 = 0
    unsafe waitpid(child.process, &status, 0)
    Glibc.close(child.words)
  }

  // MARK: Frames

  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    unsafe stream.receive(into: room, carried: &carried, take)
  }

  func transmit(_ frame: FrameView) -> Bool { stream.transmit(frame) }
  var hasPending: Bool { stream.hasPending }
  func writeOn() { stream.writeOn() }
}
