// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Partition
import Synchronization
import VMBus
import VMBusHost

/// Looks at the monitor page for guests that signal channels by setting bits in memory, which nobody tells the host of. Its
/// thread is there only while such a channel is open.
///
/// What the guest writes there can have a channel signalled that is open and has that monitor, no more: at most 128 of them
/// a look. The page is written to only while one of its channels is open.
final class MonitorWatch: Sendable {
  /// Between two looks, in microseconds: soon after a signal, which is rarely the last, and longer and longer where nothing
  /// comes (the longest after some milliseconds).
  static let shortestPause: UInt32 = 50
  static let longestPause: UInt32 = 1000

  private struct Watched {
    var channel: ChannelID
    var owner: any ChannelOwner
  }

  private struct State {
    /// Index: the monitor's number.
    var watched = [Watched?](repeating: nil, count: Int(MonitorPage.monitorCount))
    var count = 0
    /// The page frame number.
    var page: UInt64 = 0
    var thread: DedicatedThread?
  }

  private let state = Mutex(State())
  private let memory: @Sendable () -> GuestMemory?

  init(memory: @escaping @Sendable () -> GuestMemory?) { self.memory = memory }

  // MARK: One call at a time, under the bus's lock

  /// Signals of the channel go to `owner` from now on. False: nobody can look.
  func watch(_ monitor: ChannelMonitor, of channel: ChannelID, owner: any ChannelOwner) -> Bool {
    state.withLock { state in
      let index = Int(monitor.number)
      guard state.watched.indices.contains(index), memory()?.isRAM(page: monitor.page) == true else {
        return false
      }
      // All channels of a connection have the same.
      state.page = monitor.page
      if state.watched[index] == nil { state.count += 1 }
      state.watched[index] = Watched(channel: channel, owner: owner)
      if state.thread == nil {
        do throws(SystemError) {
          state.thread = try DedicatedThread(name: "monitors") { [self] in run() }
        } catch {
          state.watched[index] = nil
          state.count -= 1
          return false
        }
      }
      return true
    }
  }

  /// When this returns nothing is written to the page for this channel any more. A signal that was found before may still
  /// reach its owner.
  func forget(_ channel: ChannelID) {
    let ended = state.withLock { state -> DedicatedThread? in
      guard let index = state.watched.firstIndex(where: { $0?.channel == channel }) else { return nil }
      state.watched[index] = nil
      state.count -= 1
      guard state.count == 0 else { return nil }
      return state.thread.take()
    }
    // It ends by itself, after a pause at most.
    ended?.join()
  }

  // MARK: The thread

  private func run() {
    var pause = Self.shortestPause
    var found: [Watched] = []
    found.reserveCapacity(Int(MonitorPage.monitorCount))
    while state.withLock({ look($0, &found) }) {
      pause = found.isEmpty ? min(pause + pause / 4, Self.longestPause) : Self.shortestPause
      // Without the lock: owners have their own.
      for one in found { one.owner.signalled(one.channel) }
      found.removeAll(keepingCapacity: true)
      usleep(pause)
    }
  }

  /// False: nothing is watched any more.
  private func look(_ state: borrowing State, _ found: inout [Watched]) -> Bool {
    guard state.count > 0 else { return false }
    guard let page = unsafe memory()?.page(state.page) else { return true }
    let monitors = unsafe MonitorPage(page: page)
    for group in 0..<MonitorPage.groupCount {
      var bits = monitors.take(group: group)
      while bits != 0 {
        let bit = bits.trailingZeroBitCount
        bits &= bits &- 1
        if let watched = state.watched[Int(group) * 32 + bit] { found.append(watched) }
      }
    }
    return true
  }
}
