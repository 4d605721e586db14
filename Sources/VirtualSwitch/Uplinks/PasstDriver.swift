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
  private let table = DescriptorTable()
  private struct Child {
    var process: Int32 = 0
    /// What it says on standard error.
    var words: Int32 = -1
  }
  private let child = Mutex(Child())
  /// What the socket did not take of a frame that it took in part: it must follow before anything else.
  private let pending = Mutex<[UInt8]>([])
  private let isPending = Atomic(false)
  /// Tells the runner to wait for room.
  private let wake = Mutex<(@Sendable () -> Void)?>(nil)

  /// `payload`: the MTU that passt hands out.
  init(_ forwardings: [PortForwarding], payload: Int, program: String = "passt") {
    self.forwardings = forwardings
    self.payload = payload
    self.program = program
  }

  var detail: String { (["passt"] + forwardings.map(\.description)).joined(separator: " ") }
  let capabilities = PortCapabilities.none
  var comesBack: Bool { true }

  func whenPending(_ wake: @escaping @Sendable () -> Void) { self.wake.withLock { $0 = wake } }

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
    table.open([number])
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
    table.close()
    pending.withLock { $0 = [] }
    isPending.store(false, ordering: .relaxed)
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
    let got = table.with(queue: queue) { descriptor in
      unsafe clinux_receive(descriptor, room.baseAddress.map { unsafe $0 + carried }, room.count - carried)
    }
    guard let got else { return .gone("closed") }
    if got == -Int(EAGAIN) || got == -Int(EINTR) { return .empty }
    guard got > 0 else { return .gone(got == 0 ? "passt has ended" : SystemError.message(Int32(-got))) }
    carried += got
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<carried])
    guard let used = unsafe StreamFrames.take(bytes, take) else { return .gone("passt sent a frame that is too long") }
    carried -= used
    if used > 0, carried > 0, let base = room.baseAddress { unsafe memmove(base, base + used, carried) }
    return .more
  }

  func transmit(_ frame: FrameView) -> Bool {
    pending.withLock { pending in
      guard pending.isEmpty || push(&pending) else { return false }
      let length = UInt32(frame.byteCount).bigEndian
      let total = frame.byteCount + 4
      return unsafe withUnsafeBytes(of: length) { length in
        unsafe frame.prefixed(length) { pieces in
          let sent = table.with(queue: 0) { descriptor in
            unsafe clinux_send(descriptor, pieces.baseAddress, Int32(pieces.count))
          }
          guard let sent, sent > 0 else { return false }
          guard sent < total else { return true }
          pending = unsafe [UInt8](unsafeUninitializedCapacity: total) { room, count in
            count = unsafe FrameView(pieces: pieces, byteCount: total).copy(to: UnsafeMutableRawBufferPointer(room))
          }
          pending.removeFirst(sent)
          isPending.store(true, ordering: .releasing)
          wake.withLock { $0 }?()
          return true
        }
      }
    }
  }

  var hasPending: Bool { isPending.load(ordering: .acquiring) }
  func writeOn() { pending.withLock { _ = push(&$0) } }

  /// True: nothing waits any more.
  private func push(_ pending: inout [UInt8]) -> Bool {
    let outcome = table.with(queue: 0) { Stream.write($0, pending[...]) }
    if case .bytes(let count) = outcome { pending.removeFirst(count) }
    if pending.isEmpty { isPending.store(false, ordering: .releasing) }
    return pending.isEmpty
  }
}
