// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import ServiceProviders
import VMBus
import VMBusHost

extension OfferDescription {
  /// What people call the device behind the channel.
  var deviceName: String {
    if let service = IntegrationService.all.first(where: { $0.classID == classID }) { return service.controlName.title }
    let place = subChannelIndex == 0 ? "" : ", sub-channel \(subChannelIndex)"
    switch classID {
    case StorageController.scsi.classID:
      let number = DiskAddress.controllers.first { GUID.scsiController($0) == instanceID }
      return "SCSI Controller" + (number.map { " \($0)" } ?? "") + place
    case StorageController.ide(channel: 0, device: 0).classID:
      let plug = IDEPlace.allCases.first { $0.controller.instanceID == instanceID }
      return "IDE Disk" + (plug.map { " \($0.rawValue)" } ?? "") + place
    case NetworkAdapter.classID: return "Network Adapter" + place
    default: return "unknown"
    }
  }
}

extension GUID {
  /// The instance of a machine's SCSI controller: the number is its last byte. Ours to choose, and to keep, because
  /// guests may remember it.
  static func scsiController(_ number: Int) -> GUID {
    GUID(0x6c69_7363, 0x7369, 0x4000, 0x8000, UInt64(clamping: number))
  }
}
