// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import Testing
import VMBus

/// A packet from the provider, or an answer to one, that a scripted guest takes apart and changes.
struct Packet: Equatable {
  var bytes: [UInt8]

  var header: IntegrationHeader? { try? IntegrationHeader(decoding: bytes.wire) }
  var isNegotiation: Bool { header?.type == .negotiate }

  func read<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
    (try? bytes.wire.read(type, at: offset)) ?? 0
  }

  mutating func write<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    do { try raw.write(value, at: offset) } catch { Issue.record(error) }
  }

  /// The packet turned into a response, with a status.
  func answer(_ status: IntegrationStatus = .ok) -> Packet {
    var answer = self
    answer.write(UInt8(5), at: 25)
    answer.write(status.rawValue, at: 20)
    return answer
  }

  /// The answer to a NEGOTIATE that chooses these versions.
  func choosing(_ framework: ServiceVersion, _ message: ServiceVersion) -> Packet {
    var answer = answer()
    answer.write(UInt16(16), at: 18)
    answer.write(UInt16(1), at: 28)
    answer.write(UInt16(1), at: 30)
    answer.write(framework.major, at: 36)
    answer.write(framework.minor, at: 38)
    answer.write(message.major, at: 40)
    answer.write(message.minor, at: 42)
    return answer
  }

  /// The answer that finds no version in common.
  func choosingNone() -> Packet {
    var answer = answer()
    answer.write(UInt16(16), at: 18)
    answer.write(UInt32(0), at: 28)
    return answer
  }
}

/// Everything a provider wanted since the last look.
struct Effects {
  var all: [ServiceEffect] = []

  var sent: [Packet] { all.compactMap { if case .send(let bytes) = $0 { Packet(bytes: bytes) } else { nil } } }
  var events: [ServiceEvent] { all.compactMap { if case .event(let event) = $0 { event } else { nil } } }
  var completions: [Completion] {
    all.compactMap {
      if case .completed(let id, let result) = $0 { Completion(id: id.rawValue, result: result) } else { nil }
    }
  }
  var reads: [(id: UInt64, offset: UInt64, count: Int)] {
    all.compactMap {
      if case .readFile(let id, let offset, let count) = $0 { (id.rawValue, offset, count) } else { nil }
    }
  }
}

struct Completion: Equatable {
  var id: UInt64
  var result: Result<ServiceResult, ServiceError>

  init(id: UInt64, result: Result<ServiceResult, ServiceError>) {
    self.id = id
    self.result = result
  }

  static func ok(_ id: UInt64, _ value: ServiceResult = .done) -> Completion {
    Completion(id: id, result: .success(value))
  }

  static func failed(_ id: UInt64, _ error: ServiceError) -> Completion {
    Completion(id: id, result: .failure(error))
  }
}

extension ServiceRequestID: ExpressibleByIntegerLiteral {
  public init(integerLiteral value: UInt64) { self.init(rawValue: value) }
}

extension IntegrationServiceProvider {
  mutating func effects() -> Effects {
    var effects = Effects()
    while let effect = nextEffect() { effects.all.append(effect) }
    return effects
  }

  mutating func receive(_ packet: Packet, _ clock: TestClock) {
    receive(packet.bytes.wire, clock.now)
  }

  mutating func receive(_ bytes: [UInt8], _ clock: TestClock) {
    receive(bytes.wire, clock.now)
  }

  /// Opens the channel and negotiates; returns what came after it.
  @discardableResult
  mutating func becomeReady(
    _ clock: TestClock, framework: ServiceVersion? = nil, message: ServiceVersion? = nil
  ) -> Effects {
    channelOpened(clock.now)
    guard let negotiate = effects().sent.first else { return Effects() }
    let service = Self.service
    receive(
      negotiate.choosing(
        framework ?? service.frameworkVersions.version(at: 0) ?? ServiceVersion(0, 0),
        message ?? service.messageVersions.version(at: 0) ?? ServiceVersion(0, 0)), clock)
    return effects()
  }

  /// Ticks whenever the provider wants to until `seconds` have passed; returns all effects. Nobody answers.
  @discardableResult
  mutating func run(_ clock: inout TestClock, seconds: Double) -> Effects {
    let end = clock.now.monotonic + UInt64(seconds * 1e9)
    var all = Effects()
    var rounds = 0
    while let deadline, deadline <= end {
      rounds += 1
      guard rounds < 100_000 else {
        Issue.record("the provider never rests")
        break
      }
      if deadline > clock.now.monotonic { clock.advance(nanoseconds: deadline - clock.now.monotonic) }
      tick(clock.now)
      all.all += effects().all
    }
    clock.advance(nanoseconds: end - clock.now.monotonic)
    return all
  }
}

extension Packet {
  /// Lets a guest's machine change the packet in place.
  mutating func change<E: Error>(_ body: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try body(&raw)
  }
}

extension [UInt8] {
  /// The bytes as a decoder wants them.
  var wire: RawSpan {
    @_lifetime(borrow self) get { unsafe span.bytes }
  }
}
