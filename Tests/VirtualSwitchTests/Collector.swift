// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import VirtualSwitch

/// A sink that keeps what it gets.
final class Collector: SwitchPortSink {
  struct Arrival: Equatable {
    var bytes: [UInt8]
    var tag: VLANTag?
    var offloads: FrameOffloads
  }

  private struct State {
    var arrivals: [Arrival] = []
    var bursts = 0
    var isFull = false
  }
  private let state = Mutex(State())

  func accept(_ frame: FrameView, from sender: Int) -> Bool {
    state.withLock { state in
      guard !state.isFull else { return false }
      state.arrivals.append(Arrival(bytes: frame.bytes, tag: frame.tag, offloads: frame.offloads))
      return true
    }
  }

  func endBurst(from sender: Int) { state.withLock { $0.bursts += 1 } }

  func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }
  var arrivals: [Arrival] { state.withLock { $0.arrivals } }
  var frames: [[UInt8]] { arrivals.map(\.bytes) }
  var bursts: Int { state.withLock { $0.bursts } }

  /// What has come, once there are `count` frames or some seconds have passed.
  func wait(for count: Int, milliseconds: Int = 5000) -> [Arrival] {
    for _ in 0..<milliseconds / 5 where arrivals.count < count { usleep(5000) }
    return arrivals
  }

  /// The same for frames of one kind only: devices of the host say things of their own.
  func wait(for count: Int, milliseconds: Int = 5000, where isWanted: (Arrival) -> Bool) -> [Arrival] {
    for _ in 0..<milliseconds / 5 where arrivals.filter(isWanted).count < count { usleep(5000) }
    return arrivals.filter(isWanted)
  }
}

/// Waits until something holds.
func eventually(milliseconds: Int = 5000, _ condition: () -> Bool) -> Bool {
  for _ in 0..<milliseconds / 5 {
    if condition() { return true }
    usleep(5000)
  }
  return condition()
}
