// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The connections of a server; lives on its event loop. Keeps their number below the limit: when a new one comes, the
/// one that has waited longest without sending a request makes way. So a thousand half-open clients cost each other
/// their places, not the one that has something to ask.
final class ConnectionLedger {
  private var connections: [ObjectIdentifier: ConnectionHandler] = [:]
  private var counter: UInt64 = 0
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// False: the limit is reached and every connection is being served.
  func admit(_ connection: ConnectionHandler) -> Bool {
    if connections.count >= limit {
      let waiting = connections.values.filter(\.isAwaitingRequest).min { $0.waitingSince < $1.waitingSince }
      guard let waiting else { return false }
      forget(waiting)
      waiting.evict()
    }
    connections[ObjectIdentifier(connection)] = connection
    return true
  }

  func forget(_ connection: ConnectionHandler) { connections[ObjectIdentifier(connection)] = nil }

  /// Orders waiting connections by age without asking a clock.
  func nextMoment() -> UInt64 {
    counter &+= 1
    return counter
  }

  var isServing: Bool { connections.values.contains { !$0.isAwaitingRequest } }

  func closeAll() {
    for connection in Array(connections.values) { connection.evict() }
    connections = [:]
  }
}
