// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import ServiceProviders
import VMBus
import VMBusHost

extension EventLog {
  func record(_ notice: BusNotice) {
    switch notice {
    case .contacted(let version):
      let text = "\(version.rawValue >> 16).\(version.rawValue & 0xffff)"
      record(.bus, "the guest connected to the VMBus, version \(text)", details: ["version": text])
    case .unloaded: record(.bus, "the guest left the VMBus")
    case .refused(let refusal, let type):
      var details = ["reason": "\(refusal)"]
      if let type { details["message"] = String(type.rawValue) }
      record(
        .refusal, "a bus message of the guest's was refused: \(refusal) (later ones are only counted)", details: details
      )
    }
  }

  func record(_ service: IntegrationService, _ event: ServiceEvent) {
    let name = service.controlName
    let base = ["service": name.rawValue]
    switch event {
    case .state(let state): recordState(name, state)
    case .heartbeat(let state):
      record(.heartbeat, "heartbeat: \(state.status.rawValue)", details: ["state": state.status.rawValue])
    case .fault(let fault):
      record(
        .refusal,
        "\(name.title): a message of the guest's was dropped: \(fault.rawValue) (later ones are only counted)",
        details: base.merging(["reason": fault.rawValue]) { $1 })
    case .lateReply:
      record(.service, "\(name.title): an answer came after its deadline", details: base)
    // Samples and routine settings go out every few seconds: no news.
    case .timeSent(let kind):
      if kind == .requiredSet { record(.time, "the guest was told to set its clock") }
    case .shutdownOverdue:
      record(.service, "the guest agreed to shut down and has not done it", details: base)
    case .copyProgress: break
    case .snapshot(let snapshot): recordSnapshot(snapshot)
    }
  }

  private func recordState(_ name: ServiceName, _ state: ServiceState) {
    var details = ["service": name.rawValue]
    switch state {
    case .closed:
      details["state"] = "closed"
      record(.service, "\(name.title): closed", details: details)
    case .negotiating: break
    case .waitingForDaemon:
      details["state"] = ServiceStatus.State.noDaemon.rawValue
      record(.service, "\(name.title): waiting for the guest's daemon", details: details)
    case .ready(_, let version):
      details["state"] = ServiceStatus.State.ready.rawValue
      details["version"] = version.text
      record(.service, "\(name.title): ready, version \(version.text)", details: details)
    case .unsupported:
      details["state"] = ServiceStatus.State.failed.rawValue
      record(.service, "\(name.title): no common protocol version", details: details)
    }
  }

  private func recordSnapshot(_ event: SnapshotEvent) {
    switch event {
    case .frozen: record(.snapshot, "file systems frozen", details: ["state": "frozen"])
    case .thawed: record(.snapshot, "file systems thawed", details: ["state": "thawed"])
    case .holdTimePassed:
      record(.snapshot, "the freeze lasted too long: the host thaws", details: ["state": "deadline"])
    case .freezeTimedOut:
      record(.snapshot, "the guest did not answer the freeze in time: the host thaws", details: ["state": "deadline"])
    case .thawFailed(let error):
      record(
        .snapshot, "thawing failed, the host tries again: \(ControlError(error, name: .snapshot).message)",
        details: ["state": "thaw-failed"])
    }
  }
}

extension ServiceVersion {
  /// `3.2`
  var text: String { "\(major).\(minor)" }
}

extension HeartbeatState {
  var status: ControlAPI.HeartbeatStatus.State {
    switch self {
    case .noContact: .noContact
    case .ok: .ok
    case .lost: .lost
    }
  }
}
