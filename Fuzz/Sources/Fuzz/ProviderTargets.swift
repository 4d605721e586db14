// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import VMBus

// One target per service of the host: what can be asked of it.

enum ProviderTargets {
  /// Texts as an administrator may give them: short, long, empty, with what is special somewhere.
  static func text(_ script: inout Script) -> String {
    switch script.choice(8) {
    case 0: ""
    case 1: String(repeating: "k", count: script.choice(256) * 16)
    case 2: "naïve-ключ-\u{1F511}"
    case 3: "../\0;$(x)\n"
    default: String(decoding: script.take(script.choice(24)), as: UTF8.self)
    }
  }

  static func heartbeat(_ script: inout Script) {
    var target = ProviderTarget(HeartbeatProvider()) { _, _, _, _ in false }
    target.run(&script)
  }

  static func time(_ script: inout Script) {
    var target = ProviderTarget(TimeSynchronizationProvider()) { provider, _, _, clock in
      provider.setNow(clock)
      return false
    }
    target.run(&script)
  }

  static func shutdown(_ script: inout Script) {
    var target = ProviderTarget(ShutdownProvider()) { provider, script, id, clock in
      let action: ShutdownRequest.Action = [.powerOff, .restart, .hibernate][script.choice(3)]
      provider.request(
        ShutdownRequest(action, force: script.oneIn(2), timeoutSeconds: script.mostly(60), message: text(&script)),
        id: id, clock)
      return true
    }
    target.run(&script)
  }

  static func keyValuePair(_ script: inout Script) {
    var target = ProviderTarget(KeyValueProvider()) { provider, script, id, clock in
      let pool = KeyValuePool(rawValue: script.mostly(UInt8(script.choice(5))))
      switch script.choice(8) {
      case 0, 1: provider.enumerate(pool, id: id, clock)
      case 2: provider.get(text(&script), in: pool, id: id, clock)
      case 3:
        let values: [KeyValueValue] = [
          .string(text(&script)), .unsigned32(script.word32()), .unsigned64(script.word64()),
        ]
        provider.set(
          KeyValueItem(key: text(&script), value: values[script.choice(3)]), in: pool,
          mode: [.set, .add, .modify][script.choice(3)], id: id, clock)
      case 4: provider.delete(text(&script), in: pool, id: id, clock)
      case 5: provider.adapterConfiguration(macAddress: text(&script), id: id, clock)
      case 6:
        provider.setAdapterConfiguration(
          AdapterConfiguration(
            families: [.ipv4], addresses: [text(&script)], masks: [text(&script)], gateways: [], nameServers: []),
          adapter: GUID(low: 1, high: 2), id: id, clock)
      default:
        provider.setHostItems(
          (0..<script.choice(4)).map { KeyValueItem(key: "host\($0)", value: .string("value")) }, clock)
        if id.rawValue > 1 { provider.cancel(id: ServiceRequestID(rawValue: id.rawValue - 1), clock) }
        return false
      }
      return true
    }
    target.run(&script)
  }

  static func fileCopy(_ script: inout Script) {
    var target = ProviderTarget(FileCopyProvider()) { provider, script, id, clock in
      if script.oneIn(4), id.rawValue > 1 {
        provider.cancel(id: ServiceRequestID(rawValue: id.rawValue - 1), clock)
        return false
      }
      provider.copy(
        FileCopyRequest(
          name: script.oneIn(4) ? text(&script) : "file", folder: script.oneIn(4) ? text(&script) : "/tmp",
          size: script.mostly(UInt64(script.word16())), overwrite: script.oneIn(2), createPath: script.oneIn(2)),
        id: id, clock)
      return true
    }
    target.supply = { provider, script, id, offset, count, clock in
      precondition(count >= 0 && count <= 1 << 20, "a wish for \(count) bytes")
      if script.oneIn(16) {
        provider.sourceFailed("read error", id: id, clock)
      } else {
        let given = script.oneIn(16) ? script.choice(256) : count
        provider.supply([UInt8](repeating: 7, count: given), offset: script.mostly(offset), id: id, clock)
      }
    }
    target.run(&script)
  }

  static func volumeSnapshot(_ script: inout Script) {
    var target = ProviderTarget(VolumeSnapshotProvider()) { provider, script, id, clock in
      switch script.choice(3) {
      case 0: provider.check(id: id, clock)
      case 1: provider.freeze(id: id, clock)
      default: provider.thaw(id: id, clock)
      }
      return true
    }
    target.run(&script)
  }
}
