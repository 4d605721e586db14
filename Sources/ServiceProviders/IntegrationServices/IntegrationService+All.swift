// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

extension IntegrationService {
  /// In the order in which `lis service list` shows them.
  public static let all: [IntegrationService] = [
    .heartbeat, .shutdown, .timeSynchronization, .keyValuePair, .volumeSnapshot, .fileCopy,
  ]

  /// From a short name as commands and configuration files use it.
  public init?(name: String) {
    guard let service = Self.all.first(where: { $0.name.description == name }) else { return nil }
    self = service
  }
}
