// SPDX-License-Identifier: Apache-2.0

/// One end of the link: a value, without I/O. Bytes go in, events come out; bytes to send pile up in `outgoing`, bounded
/// by the credit of each stream.
struct Link {
  enum Role { case outer, inner }

  /// What the peer said, in order.
  enum Event: Equatable {
    case started(StartRecord, orders: [UInt8])
    case opened(StreamID)
    /// At most a window's worth is outstanding until `consumed` is called.
    case data(StreamID, [UInt8])
    case ended(StreamID)
    case reset(StreamID)
    case signal(Int32)
    case time(UInt64)
    case pong(UInt64)
    case exited(code: Int32)
    case crashed(signal: Int32)
    case failure(String)
  }

  /// Bytes of a stream that may be on the way or unread.
  static let window = 65536
  /// Where answers to a peer that reads nothing end.
  static let outgoingLimit = 1 << 20

  private struct Channel {
    var credit = Link.window
    /// Bytes received for which the peer has not got its credit back.
    var outstanding = 0
    /// The part of `outstanding` that the owner has used up.
    var used = 0
    var mayReceive: Bool
    var maySend: Bool
  }

  let role: Role
  /// Encoded frames for the peer. The owner writes the front and calls `sent`.
  private(set) var outgoing: [UInt8] = []
  private var decoder = FrameDecoder()
  private var channels: [StreamID: Channel]
  private var start: StartRecord?
  private var orders: [UInt8] = []
  private var running = false
  private var finished = false
  private var lastConnection = UInt16.max

  init(role: Role) {
    self.role = role
    let outer = role == .outer
    channels = [
      .input: Channel(mayReceive: !outer, maySend: outer),
      .output: Channel(mayReceive: outer, maySend: !outer),
      .error: Channel(mayReceive: outer, maySend: !outer),
    ]
  }

  /// How many bytes `send` takes for this stream now.
  func sendable(_ stream: StreamID) -> Int {
    guard let channel = channels[stream], channel.maySend else { return 0 }
    return channel.credit
  }

  /// Says that `count` bytes of `outgoing` have been written.
  mutating func sent(_ count: Int) { outgoing.removeSubrange(..<count) }

  // MARK: - What this end says

  mutating func sendStart(_ record: StartRecord, orders: [UInt8]) {
    emit(Frame(.start, payload: record.encoded()))
    var rest = orders[...]
    while !rest.isEmpty {
      emit(Frame(.orders, payload: Array(rest.prefix(Frame.maximumPayload))))
      rest = rest.dropFirst(Frame.maximumPayload)
    }
  }

  /// Opens a stream for a client; nil: all are in use, try again when one has gone.
  mutating func openConnection() -> StreamID? {
    guard canOpen else { return nil }
    // Numbers come round only after all others: nothing of a number's previous stream can still be on the way then.
    repeat {
      lastConnection = lastConnection == .max ? StreamID.firstConnection : lastConnection + 1
    } while channels[StreamID(rawValue: lastConnection)] != nil
    let stream = StreamID(rawValue: lastConnection)
    channels[stream] = Channel(mayReceive: true, maySend: true)
    emit(Frame(.open, stream: stream))
    return stream
  }

  /// Whether another connection fits.
  var canOpen: Bool { channels.count < StreamID.maximumConnections + 3 }

  /// Sends data; the caller has asked `sendable`.
  mutating func send(_ bytes: ArraySlice<UInt8>, on stream: StreamID) {
    precondition(bytes.count <= sendable(stream))
    channels[stream]?.credit -= bytes.count
    var rest = bytes
    while !rest.isEmpty {
      emit(Frame(.data, stream: stream, payload: Array(rest.prefix(Frame.maximumPayload))))
      rest = rest.dropFirst(Frame.maximumPayload)
    }
  }

  /// No more data from us on this stream.
  mutating func end(_ stream: StreamID) {
    guard channels[stream]?.maySend == true else { return }
    channels[stream]?.maySend = false
    emit(Frame(.end, stream: stream))
    dropIfDone(stream)
  }

  /// Kills a stream in both directions.
  mutating func reset(_ stream: StreamID) {
    guard channels.removeValue(forKey: stream) != nil else { return }
    emit(Frame(.reset, stream: stream))
  }

  /// The owner has used up received data: the peer may send as much again. Told in halves of a window.
  mutating func consumed(_ count: Int, on stream: StreamID) {
    guard var channel = channels[stream] else { return }
    channel.used += count
    if channel.used >= Self.window / 2 && channel.mayReceive {
      var payload: [UInt8] = []
      payload.append(little: UInt32(channel.used))
      channel.outstanding -= channel.used
      channel.used = 0
      emit(Frame(.credit, stream: stream, payload: payload))
    }
    channels[stream] = channel
  }

  mutating func sendSignal(_ number: Int32) { emit(.signal, UInt32(bitPattern: number)) }
  mutating func sendTime(_ wallClock: UInt64) { emit(.time, wallClock) }
  mutating func sendExit(code: Int32) { emit(.exit, UInt64(UInt32(bitPattern: code)) << 32) }
  mutating func sendCrash(signal: Int32) { emit(.exit, UInt64(UInt32(bitPattern: signal)) << 32 | 1) }
  mutating func sendFailure(_ text: String) {
    emit(Frame(.failure, payload: Array(text.utf8.prefix(Frame.maximumPayload))))
  }

  private mutating func emit(_ kind: FrameKind, _ value: some FixedWidthInteger) {
    var payload: [UInt8] = []
    payload.append(little: value)
    emit(Frame(kind, payload: payload))
  }

  private mutating func emit(_ frame: Frame) { frame.encode(into: &outgoing) }

  // MARK: - What the peer says

  /// Takes bytes from the peer. After an error the link is dead.
  mutating func receive(_ bytes: ArraySlice<UInt8>, events: inout [Event]) throws(LinkError) {
    decoder.append(bytes)
    while let frame = try decoder.next() {
      if let event = try handle(frame) { events.append(event) }
      guard outgoing.count <= Self.outgoingLimit else { throw .flooded }
    }
  }

  private mutating func handle(_ frame: Frame) throws(LinkError) -> Event? {
    switch (role, frame.kind) {
    case (_, .data), (_, .end), (_, .reset), (_, .credit): return try handleStream(frame)
    case (.inner, .start):
      guard start == nil else { throw .unexpected(.start) }
      let record = try StartRecord(decoding: frame.payload)
      start = record
      return startIfComplete()
    case (.inner, .orders):
      guard let start, !running else { throw .unexpected(.orders) }
      guard !frame.payload.isEmpty, orders.count + frame.payload.count <= start.ordersLength else {
        throw .malformed(.orders)
      }
      orders.append(contentsOf: frame.payload)
      return startIfComplete()
    case (.inner, .open):
      guard running else { throw .unexpected(.open) }
      guard frame.stream.isConnection, channels[frame.stream] == nil, canOpen else {
        throw .unknownStream(.open, frame.stream)
      }
      channels[frame.stream] = Channel(mayReceive: true, maySend: true)
      return .opened(frame.stream)
    case (.inner, .signal):
      let number: UInt32 = try value(frame)
      guard (1..<65).contains(number) else { throw .malformed(.signal) }
      return .signal(Int32(number))
    case (.inner, .time):
      let clock: UInt64 = try value(frame)
      emit(.pong, clock)
      return .time(clock)
    case (.outer, .pong): return .pong(try value(frame))
    case (.outer, .exit):
      guard !finished else { throw .unexpected(.exit) }
      finished = true
      let value: UInt64 = try value(frame)
      let number = Int32(truncatingIfNeeded: value >> 32)
      switch value & 0xFFFF_FFFF {
      case 0: return .exited(code: number)
      case 1: return .crashed(signal: number)
      default: throw .malformed(.exit)
      }
    case (.outer, .failure): return .failure(String(decoding: frame.payload, as: UTF8.self))
    default: throw .unexpected(frame.kind)
    }
  }

  private mutating func startIfComplete() -> Event? {
    guard let start, orders.count == start.ordersLength else { return nil }
    running = true
    defer { orders = [] }
    return .started(start, orders: orders)
  }

  private func value<T: FixedWidthInteger>(_ frame: Frame) throws(LinkError) -> T {
    var rest = frame.payload[...]
    guard let value = rest.takeLittle(T.self), rest.isEmpty else { throw .malformed(frame.kind) }
    return value
  }

  private mutating func handleStream(_ frame: Frame) throws(LinkError) -> Event? {
    let stream = frame.stream
    guard role == .outer || running else { throw .unexpected(frame.kind) }
    guard stream.isConnection || [.input, .output, .error].contains(stream) else {
      throw .unknownStream(frame.kind, stream)
    }
    // A stream that we have just reset or finished: what was on the way is dropped.
    guard var channel = channels[stream] else { return nil }
    switch frame.kind {
    case .data:
      guard channel.mayReceive else { throw .dataAfterEnd(stream) }
      guard !frame.payload.isEmpty else { throw .malformed(.data) }
      channel.outstanding += frame.payload.count
      guard channel.outstanding <= Self.window else { throw .windowViolated(stream) }
      channels[stream] = channel
      return .data(stream, frame.payload)
    case .end:
      guard frame.payload.isEmpty else { throw .malformed(.end) }
      guard channel.mayReceive else { throw .dataAfterEnd(stream) }
      channels[stream]?.mayReceive = false
      dropIfDone(stream)
      return .ended(stream)
    case .credit:
      let count: UInt32 = try value(frame)
      guard count > 0, count <= Self.window, channel.credit + Int(count) <= Self.window else {
        throw .windowViolated(stream)
      }
      channels[stream]?.credit += Int(count)
      return nil
    default:
      channels[stream] = nil
      return .reset(stream)
    }
  }

  private mutating func dropIfDone(_ stream: StreamID) {
    guard let channel = channels[stream], !channel.maySend, !channel.mayReceive else { return }
    channels[stream] = nil
  }
}
