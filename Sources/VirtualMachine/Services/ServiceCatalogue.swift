// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import ServiceProviders

/// The services that a machine has.
enum ServiceCatalogue {
  static func providers(_ configuration: VirtualMachineConfiguration) -> [any IntegrationServiceProvider] {
    [
      HeartbeatProvider(), ShutdownProvider(), TimeSynchronizationProvider(), KeyValueProvider(),
      VolumeSnapshotProvider(), FileCopyProvider(),
    ]
  }

  /// What the host tells the guest about itself in pool 3, under the names that Hyper-V uses.
  static func hostItems(_ configuration: VirtualMachineConfiguration, hostName: String) -> [ServiceProviders
    .KeyValueItem]
  {
    [
      ("HostName", hostName),
      ("PhysicalHostName", hostName),
      ("PhysicalHostNameFullyQualified", hostName),
      ("VirtualMachineName", configuration.name),
      ("HostingSystemEditionId", "swift-lis"),
    ].map { ServiceProviders.KeyValueItem(key: $0.0, value: .string($0.1)) }
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
