// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The kinds of controller that speak the vstor protocol, and what each is offered as.
///
/// Class GUIDs: HV_SCSI_GUID and HV_IDE_GUID in include/linux/hyperv.h of Linux 6.1. A Fibre Channel adapter has a class
/// too, 2f9bcc4a-0069-4af3-b76b-6fd0be528cda; none is offered.
public enum StorageController: Hashable, Sendable {
  /// Up to 64 logical units.
  case scsi
  /// One disk of one emulated IDE channel; `channel` and `device` are 0 or 1. Its unit has target `device`, number 0.
  case ide(channel: UInt8, device: UInt8)

  public var classID: GUID {
    switch self {
    case .scsi: GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb605, 0x72e2_ffb1_dc7f)
    case .ide: GUID(0x32412632, 0x86cb, 0x44a2, 0x9b5c, 0x50d1_4173_54f5)
    }
  }

  /// The instance of an IDE disk names its place: {channel u32, device u16, 0x8899, 0}. Linux takes the target from
  /// bytes 4 and 5. A SCSI controller's is free, and its owner's to keep.
  public var instanceID: GUID? {
    switch self {
    case .scsi: nil
    case .ide(let channel, let device): GUID(UInt32(channel), UInt16(device), 0x8899, 0, 0)
    }
  }

  /// What goes with the offer. IDE: u8 path @2, u8 target @3, u32 flags @8 with bit 1 for an emulated disk. Linux reads
  /// none of it.
  public var userData: UserData {
    var data = UserData()
    if case .ide(let channel, let device) = self {
      data.words[0] = UInt64(channel) << 16 | UInt64(device) << 24
      data.words[1] = 2
    }
    return data
  }
}
