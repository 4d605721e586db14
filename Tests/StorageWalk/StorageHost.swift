// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import VMBus
import VirtualDisks

/// A storage controller with all that is around it in a machine: channels, units, drives, an engine whose work takes as
/// long as the walk likes. The place to look how provider and models are driven.
public final class StorageHost {
  public var provider: StorageProvider
  public private(set) var ports: [UInt16: HostPort] = [:]
  public var units: [UInt8: SCSIUnit] = [:]
  public var drives: [UInt8: RAMDrive] = [:]
  /// Work that the engine has not done yet.
  public private(set) var pending: [Work] = []
  /// Channels besides the first that the guest may open.
  public private(set) var offered: UInt16 = 0
  public private(set) var ejections = 0
  let memory: GuestPages
  private var response = SCSIResponse()
  private var effects: [StorageEffect] = []

  /// A drive request with what its owner keeps beside it.
  public struct Work {
    var channel: UInt16
    var id: StorageRequestID
    var unit: UInt8
    var request: DriveRequest
    var task: SCSITask
    var places: [Range<Int>]
    var isCancelled = false
  }

  public init(_ configuration: StorageConfiguration, memory: GuestPages) {
    provider = StorageProvider(configuration)
    self.memory = memory
  }

  public var unitSet: SCSIUnitSet {
    var set = SCSIUnitSet(rawValue: 0)
    for unit in units.keys { set.insert(unit) }
    return set
  }

  // MARK: Channels

  public func open(_ index: UInt16, _ rings: RingPair) {
    close(index)
    if index == 0 { for unit in units.keys { units[unit]?.restart() } }
    let channel = provider.channelOpened(index, effects: &effects)
    ports[index] = HostPort(channel, rings)
    carryOut()
  }

  /// First the engine lets go, then the provider hears of it.
  public func close(_ index: UInt16) {
    guard ports.removeValue(forKey: index) != nil else { return }
    pending.removeAll { $0.channel == index }
    provider.channelClosed(index, effects: &effects)
    carryOut()
  }

  // MARK: The channel's thread

  /// One turn: takes up to `limit` packets, delivers what is done.
  public func serve(_ index: UInt16, limit: Int = 64) {
    guard let port = ports[index], !port.isBroken else { return }
    do throws(RingError) {
      var left = limit
      while left > 0, port.channel.canReceive, let packet = try unsafe port.reader.next(into: port.buffer) {
        let bytes = unsafe RawSpan(_unsafeBytes: port.buffer).extracting(first: packet.byteCount)
        switch port.channel.receive(packet, in: bytes) {
        case .settled: break
        case .control(let control): provider.receive(control, on: &port.channel, effects: &effects)
        case .command(let request): begin(request, port, bytes)
        }
        left -= 1
      }
      _ = port.reader.commit()
      carryOut()
      _ = try port.channel.deliver(to: &port.writer)
    } catch {
      port.isBroken = true
    }
  }

  private func begin(_ request: StorageRequest, _ port: HostPort, _ bytes: RawSpan) {
    // Where the data are, before the next packet takes the buffer; and whether the guest has such memory.
    var places: [Range<Int>] = []
    if var segments = request.segments {
      do throws(RingError) {
        while let segment = try segments.next(in: bytes) {
          guard let place = memory.place(of: segment) else { return port.channel.complete(request.id, .invalid) }
          places.append(place)
        }
      } catch {
        return port.channel.complete(request.id, .invalid)
      }
    }
    let command = SCSICommand(request.command, bufferByteCount: request.byteCount, units: unitSet)
    guard let number = request.unit, var unit = units[number] else {
      let outcome = SCSIAbsentUnit.begin(command, onTarget: request.unit != nil, into: &response)
      send(outcome, places)
      return port.channel.complete(request.id, outcome)
    }
    var step = unit.begin(command, into: &response)
    while case .fetch(let byteCount, let task) = step {
      let data = memory.gather(places, byteCount)
      step = unit.resume(task, data: unsafe data.span.bytes)
    }
    units[number] = unit
    switch step {
    case .complete(let outcome):
      send(outcome, places)
      port.channel.complete(request.id, outcome)
    case .ejected(let outcome):
      ejections += 1
      port.channel.complete(request.id, outcome)
    case .transfer(let drive, let task):
      pending.append(
        Work(channel: port.channel.index, id: request.id, unit: number, request: drive, task: task, places: places))
    case .fetch: break
    }
  }

  private func send(_ outcome: SCSIOutcome, _ places: [Range<Int>]) {
    let data = unsafe response.bytes.withUnsafeBytes { unsafe Array($0.prefix(Int(outcome.byteCount))) }
    memory.scatter(data, into: places)
  }

  // MARK: The engine

  /// Does a piece of work, or fails to.
  public func work(_ index: Int, failure: DriveFailure? = nil) {
    var work = pending.remove(at: index)
    guard let port = ports[work.channel] else { return }
    let result: DriveResult =
      if work.isCancelled {
        .failure(.cancelled)
      } else if let failure {
        .failure(failure, at: work.request.byteOffset)
      } else {
        drives[work.unit]?.execute(work.request, work.places, memory) ?? .failure(.broken)
      }
    switch work.task.finish(result) {
    case .complete(let outcome), .ejected(let outcome):
      port.channel.complete(work.id, outcome)
      look(port)
    case .transfer(let request, let task):
      work.request = request
      work.task = task
      pending.append(work)
    case .fetch: preconditionFailure("a task that ended fetches nothing")
    }
    carryOut()
  }

  private func cancel(_ ids: [StorageRequestID], _ channel: UInt16) {
    let ids = Set(ids)
    for index in pending.indices where pending[index].channel == channel && ids.contains(pending[index].id) {
      pending[index].isCancelled = true
    }
  }

  /// Takes a unit away; what is under way on it is given up.
  public func remove(_ unit: UInt8) {
    units[unit] = nil
    for (index, port) in ports { cancel(port.channel.requests(in: .unit(unit)), index) }
    ports[0]?.channel.unitsChanged()
  }

  public func add(_ number: UInt8, _ unit: SCSIUnit) {
    units[number] = unit
    ports[0]?.channel.unitsChanged()
  }

  // MARK: Effects

  private func look(_ port: HostPort) {
    if port.channel.takeDrained() { provider.drained(port.channel.index, effects: &effects) }
  }

  private func carryOut() {
    while !effects.isEmpty {
      switch effects.removeFirst() {
      case .offerSubChannels(let count): offered = count
      case .withdrawSubChannels:
        offered = 0
        for index in ports.keys.sorted() where index > 0 { close(index) }
      case .reset(let scope, let channels):
        for index in channels {
          guard let port = ports[index] else { continue }
          cancel(port.channel.beginReset(scope), index)
          look(port)
        }
        for unit in units.keys {
          if case .unit(let number) = scope, number != unit { continue }
          units[unit]?.reset()
        }
      case .answer(let channel, let id, let status): ports[channel]?.channel.answer(id, status)
      }
    }
  }

  /// What must hold at any time.
  public func problem() -> String? {
    for (index, port) in ports {
      let mine = pending.count { $0.channel == index }
      if port.channel.executing != mine {
        return "channel \(index): \(port.channel.executing) executing, \(mine) pending"
      }
    }
    return nil
  }
}
