// SPDX-License-Identifier: Apache-2.0

/// Where the conversation with a daemon is that does a service's work in user space.
///
/// The daemon opens the device, writes its registration, reads the answer, and from then on reads a request and writes
/// its reply, one at a time. It may vanish at any moment, and may answer when nobody waits any more.
public struct DaemonLink: Hashable, Sendable {
  public enum State: UInt8, Hashable, Sendable {
    /// Nobody has the device open.
    case absent
    /// Open, and not registered.
    case connected
    /// The answer to the registration waits to be read.
    case greeting
    case ready
    /// A request waits to be read.
    case requested
    /// The daemon has read the request and works on it.
    case delivered
    /// The same, and the request is answered already: its reply will come too late. Nothing is asked meanwhile.
    case late
  }

  public private(set) var state = State.absent

  public init() {}

  /// Whether requests of the host have somebody to go to, now or when a reply that is late has come.
  public var isRegistered: Bool {
    switch state {
    case .absent, .connected, .greeting: false
    case .ready, .requested, .delivered, .late: true
    }
  }

  /// Whether a request of the host waits for the daemon.
  public var isAsked: Bool { state == .requested || state == .delivered }

  public mutating func open() throws(DaemonFault) {
    guard state == .absent else { throw .busy }
    state = .connected
  }

  /// The daemon is gone. True: what it was asked has to be answered without it.
  public mutating func close() -> Bool {
    let wasAsked = isAsked
    state = .absent
    return wasAsked
  }

  /// The daemon has registered. `greets`: it reads an answer to that first.
  public mutating func register(greets: Bool) throws(DaemonFault) {
    switch state {
    case .connected, .greeting, .ready: state = greets ? .greeting : .ready
    case .absent, .requested, .delivered, .late: throw .invalid
    }
  }

  /// A request goes to the daemon; false when it cannot take one now.
  public mutating func ask() -> Bool {
    guard state == .ready else { return false }
    state = .requested
    return true
  }

  /// The daemon has read the message that waited.
  public mutating func read() {
    switch state {
    case .greeting: state = .ready
    case .requested: state = .delivered
    case .absent, .connected, .ready, .delivered, .late: break
    }
  }

  /// The daemon's reply has come. A reply that is late counts as an invalid message, upon which the daemons undo what
  /// they have done and begin anew.
  public mutating func reply() throws(DaemonFault) {
    switch state {
    case .delivered:
      state = .ready
    case .late:
      state = .ready
      throw .invalid
    case .absent, .connected, .greeting, .ready, .requested:
      throw .invalid
    }
  }

  /// The host gets its answer without the daemon, which was too slow. True: the request was not read and is withdrawn.
  public mutating func giveUp() -> Bool {
    switch state {
    case .requested:
      state = .ready
      return true
    case .delivered:
      state = .late
      return false
    case .absent, .connected, .greeting, .ready, .late:
      return false
    }
  }
}
