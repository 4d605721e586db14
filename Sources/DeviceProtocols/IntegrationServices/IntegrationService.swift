// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The six integration services and what each is called, offered as and negotiated with.
///
/// Class GUIDs and version lists: include/linux/hyperv.h and drivers/hv/hv_{util,kvp,snapshot,fcopy}.c of Linux 6.1.
/// Instance GUIDs are those that Hyper-V uses. The one of file copy is not free to choose: the uio daemon of Linux 6.12
/// (tools/hv/hv_fcopy_uio_daemon.c) looks for its device under exactly that name.
public enum IntegrationService: UInt8, Hashable, Sendable {
  case heartbeat
  case shutdown
  case timeSynchronization
  case keyValuePair
  case volumeSnapshot
  case fileCopy

  public var classID: GUID {
    switch self {
    case .heartbeat: GUID(0x57164f39, 0x9115, 0x4e78, 0xab55, 0x382f_3bd5_422d)
    case .shutdown: GUID(0x0e0b6031, 0x5213, 0x4934, 0x818b, 0x38d9_0ced_39db)
    case .timeSynchronization: GUID(0x9527e630, 0xd0ae, 0x497b, 0xadce, 0xe80a_b017_5caf)
    case .keyValuePair: GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb827, 0x8a84_1e8c_03e6)
    case .volumeSnapshot: GUID(0x35fa2e29, 0xea23, 0x4236, 0x96ae, 0x3a6e_bacb_a440)
    case .fileCopy: GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9ae7, 0x6b17_4977_c192)
    }
  }

  public var instanceID: GUID {
    switch self {
    case .heartbeat: GUID(0xfd149e91, 0x82e0, 0x4a7d, 0xafa6, 0x2a41_66cb_d7c0)
    case .shutdown: GUID(0xb6650ff7, 0x33bc, 0x4840, 0x8048, 0xe067_6786_f393)
    case .timeSynchronization: GUID(0x2dd1ce17, 0x079e, 0x403c, 0xb352, 0xa192_1ee2_07ee)
    case .keyValuePair: GUID(0x242ff919, 0x07db, 0x4180, 0x9c2e, 0xb86c_b68c_8c55)
    case .volumeSnapshot: GUID(0x2450ee40, 0x33bf, 0x4fbd, 0x892e, 0x9fb0_6e92_14cf)
    case .fileCopy: GUID(0xeb765408, 0x105f, 0x49b6, 0xb4aa, 0xc123_b64d_17d4)
    }
  }

  /// Short name for commands, configuration and logs.
  public var name: StaticString {
    switch self {
    case .heartbeat: "heartbeat"
    case .shutdown: "shutdown"
    case .timeSynchronization: "time"
    case .keyValuePair: "kvp"
    case .volumeSnapshot: "snapshot"
    case .fileCopy: "copy"
    }
  }

  public var messageType: IntegrationMessageType {
    switch self {
    case .heartbeat: .heartbeat
    case .shutdown: .shutdown
    case .timeSynchronization: .timeSynchronization
    case .keyValuePair: .keyValuePair
    case .volumeSnapshot: .volumeSnapshot
    case .fileCopy: .fileCopy
    }
  }

  /// Framework versions, best first. VSS and file copy exist only since framework 3.0.
  public var frameworkVersions: ServiceVersionList {
    switch self {
    case .heartbeat, .shutdown, .timeSynchronization, .keyValuePair:
      ServiceVersionList(ServiceVersion(3, 0), ServiceVersion(1, 0))
    case .volumeSnapshot, .fileCopy:
      ServiceVersionList(ServiceVersion(3, 0))
    }
  }

  /// Message versions, best first: every one that a current Linux may choose.
  public var messageVersions: ServiceVersionList {
    switch self {
    case .heartbeat:
      ServiceVersionList(ServiceVersion(3, 0), ServiceVersion(1, 0))
    case .shutdown:
      ServiceVersionList(ServiceVersion(3, 2), ServiceVersion(3, 1), ServiceVersion(3, 0), ServiceVersion(1, 0))
    case .timeSynchronization, .keyValuePair:
      ServiceVersionList(ServiceVersion(4, 0), ServiceVersion(3, 0), ServiceVersion(1, 0))
    case .volumeSnapshot:
      ServiceVersionList(ServiceVersion(5, 0))
    case .fileCopy:
      ServiceVersionList(ServiceVersion(1, 1))
    }
  }

  /// Offer flags of every integration service: enumerate the device interface (1) and named pipe mode (0x10).
  @inlinable public static var offerFlags: UInt16 { 0x11 }
  /// The pipe type in the offer's user data: message mode.
  @inlinable public static var pipeType: UInt32 { 4 }
}
