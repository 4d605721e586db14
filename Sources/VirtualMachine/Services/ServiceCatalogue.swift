// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import ServiceProviders
import VMBus

/// The services that a machine has.
enum ServiceCatalogue {
  static func providers(_ configuration: VirtualMachineConfiguration) -> [any IntegrationServiceProvider] {
    [
      HeartbeatProvider(), ShutdownProvider(), TimeSynchronizationProvider(), KeyValueProvider(),
      VolumeSnapshotProvider(), FileCopyProvider(),
    ]
  }

  /// What the host tells the guest about itself in pool 3.
  static func identity(_ configuration: VirtualMachineConfiguration, hostName: String) -> HostIdentity {
    HostIdentity(
      hostName: hostName, qualifiedHostName: hostName, machineName: configuration.name,
      machineID: machineID(configuration.name))
  }

  /// A machine has no identity but its name: the same name gives the same id at every start (FNV-1a over the name, twice
  /// with different beginnings, marked as a GUID of version 8, "vendor's own").
  static func machineID(_ name: String) -> GUID {
    func hash(_ start: UInt64) -> UInt64 {
      name.utf8.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
    let low = hash(0xcbf2_9ce4_8422_2325) & 0x0fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
    let high = hash(0x8422_2325_cbf2_9ce4) & ~0xc0 | 0x80
    return GUID(low: low, high: high)
  }
}

extension ServiceName {
  /// The service on the bus that this name means.
  var service: IntegrationService {
    switch self {
    case .heartbeat: .heartbeat
    case .shutdown: .shutdown
    case .time: .timeSynchronization
    case .kvp: .keyValuePair
    case .copy: .fileCopy
    case .snapshot: .volumeSnapshot
    }
  }
}

extension IntegrationService {
  /// The name that the command line uses.
  var controlName: ServiceName {
    switch self {
    case .heartbeat: .heartbeat
    case .shutdown: .shutdown
    case .timeSynchronization: .time
    case .keyValuePair: .kvp
    case .fileCopy: .copy
    case .volumeSnapshot: .snapshot
    }
  }
}
