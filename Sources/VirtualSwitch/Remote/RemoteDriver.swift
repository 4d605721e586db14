// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// A port of a switch in another process, seen from the process that wants it. It asks for its port again when the switch
/// went and came back.
final class RemoteDriver: FrameDriver {
  private let path: String
  private let socket = MessageSocket()
  private let request: Mutex<PortRequest>
  private let answers = Mutex<[String?]>([])
  private let answered: EventDescriptor

  init(_ path: String, _ request: PortRequest) throws(SwitchError) {
    self.path = path
    self.request = Mutex(request)
    do throws(SystemError) {
      answered = try EventDescriptor()
    } catch {
      throw .system(error)
    }
  }

  var detail: String { "switch \(path)" }
  var capabilities: PortCapabilities { Self.all }
  static let all = PortCapabilities(
    tagsOutOfBand: true, unfinishedChecksums: true, tcp4Segmentation: true, tcp6Segmentation: true,
    udpSegmentation: true)
  var comesBack: Bool { true }
  var settings: PortSettings { request.withLock { $0.settings } }

  func open() throws(SwitchError) -> [Int32] {
    let number = unsafe clinux_messages_connect(path)
    switch -number {
    case ..<1: break
    case ENOENT, ECONNREFUSED, ENOTSOCK, EPROTOTYPE: throw .noSwitch(path)
    case EACCES, EPERM:
      throw .notPermitted("the switch at \(path)", remedy: "only the user who created it may attach to it")
    default: throw .system(SystemError("connect", path, error: -number))
    }
    socket.open(number)
    let request = request.withLock { $0 }
    guard socket.send(RemoteMessage.request(request)), case .answer(let refusal) = socket.answer(within: 3000) else {
      socket.close()
      throw .noSwitch(path)
    }
    if let refusal {
      socket.close()
      throw .refused(refusal)
    }
    return [number]
  }

  func close() {
    socket.close()
    // Whoever waits for an answer gets none.
    answered.signal()
  }

  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    for _ in 0..<DriverRunner.burst {
      switch unsafe socket.receive(into: room) {
      case .content(.frame(let tag, let offloads), let bytes):
        unsafe FrameView.over(bytes, tag: tag, offloads: offloads, take)
      case .content(.answer(let refusal), _):
        answers.withLock { if $0.count < 8 { $0.append(refusal) } }
        answered.signal()
      case .content(.request, _), .malformed: return .gone("the switch does not keep to the protocol")
      case .nothing: return .empty
      case .gone(let reason): return .gone(reason)
      }
    }
    return .more
  }

  func transmit(_ frame: FrameView) -> Bool { socket.send(frame) }

  /// Asks the switch for other settings. One caller at a time.
  func set(_ settings: PortSettings) throws(SwitchError) {
    var wanted = request.withLock { $0 }
    wanted.settings = settings
    try ask(wanted)
  }

  func set(_ capabilities: PortCapabilities) throws(SwitchError) {
    var wanted = request.withLock { $0 }
    wanted.capabilities = capabilities
    try ask(wanted)
  }

  private func ask(_ wanted: PortRequest) throws(SwitchError) {
    guard socket.isOpen else { throw .closed }
    answers.withLock { $0 = [] }
    answered.drain()
    guard socket.send(RemoteMessage.request(wanted)) else { throw .closed }
    var entries = [pollfd(fd: answered.number, events: Int16(POLLIN), revents: 0)]
    guard Stream.poll(&entries, milliseconds: 3000), let answer = answers.withLock({ $0.first }) else { throw .closed }
    if let refusal = answer { throw .refused(refusal) }
    request.withLock { $0 = wanted }
  }
}
