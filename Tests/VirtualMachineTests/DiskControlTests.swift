// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import ServiceProviders
import Testing
import VMBus
import VMBusHost
import VirtualDisks

@testable import VirtualMachine

/// From requests of the control API to disks, and from disks to what the API says of them.
@Suite struct DiskControlTests {
  @Test func requestsBecomeDisks() throws {
    #expect(
      try DiskConfiguration(DiskRequest(path: "/a.vhdx")) == DiskConfiguration(path: "/a.vhdx", format: .vhdx))
    #expect(
      try DiskConfiguration(
        DiskRequest(
          path: "/a", format: .raw, controller: 2, lun: 7, readOnly: true, writeCache: false, sectorBytes: 4096))
        == DiskConfiguration(
          path: "/a", format: .raw, controller: 2, unit: 7, isReadOnly: true, hasWriteCache: false,
          sectorByteCount: 4096))
    let drive = try DiskConfiguration(DiskRequest(kind: .dvd, path: nil))
    #expect(drive.path == nil && drive.isReadOnly && drive.unit == nil)
    #expect(try DiskConfiguration(DiskRequest(kind: .dvd, path: "/disc.bin")).format == .iso)
    #expect(try DiskConfiguration(DiskRequest(kind: .dvd, path: "/disc.img", format: .iso)).format == .iso)
  }

  @Test(arguments: [
    (DiskRequest(path: "/a.qcow2"), "the name of /a.qcow2 does not tell its format"),
    (DiskRequest(path: "/a.iso"), "/a.iso is an ISO image"),
    (DiskRequest(path: "/a.vhd", format: .iso), "/a.vhd is an ISO image"),
    (
      DiskRequest(kind: .dvd, path: "/a.vhdx"),
      "/a.vhdx is a vhdx image by its name, and a DVD drive takes ISO images"
    ),
    (
      DiskRequest(path: "/a.vhdx", sectorBytes: 512), "/a.vhdx is a vhdx image, which says its sector size itself"
    ),
  ])
  func requestsThatAreRefused(request: DiskRequest, message: String) {
    do {
      _ = try DiskConfiguration(request)
      Issue.record("accepted")
    } catch {
      #expect(error.code == .input && error.message == message && error.remedy != nil)
    }
  }

  @Test func everyFormatHasItsWord() {
    for format in ImageFormat.allCases { #expect(DiskFormat(format).rawValue == format.rawValue) }
    for format in DiskFormat.allCases { #expect(DiskFormat(format.image) == format) }
  }

  @Test func devicesHaveNames() throws {
    let scsi = StorageController.scsi.classID
    #expect(OfferDescription(classID: scsi, instanceID: .scsiController(3)).deviceName == "SCSI Controller 3")
    #expect(
      OfferDescription(classID: scsi, instanceID: .scsiController(0), subChannelIndex: 2).deviceName
        == "SCSI Controller 0, sub-channel 2")
    for place in IDEPlace.allCases {
      let disk = OfferDescription(
        classID: place.controller.classID, instanceID: try #require(place.controller.instanceID))
      #expect(disk.deviceName == "IDE Disk \(place.rawValue)")
      #expect(IDEPlace(place.position) == place)
    }
    let service = IntegrationService.all[0]
    #expect(
      OfferDescription.integrationService(classID: service.classID, instanceID: service.instanceID).deviceName
        == service.controlName.title)
    #expect(OfferDescription(classID: .scsiController(0), instanceID: .scsiController(0)).deviceName == "unknown")
    #expect((0...3).map { GUID.scsiController($0).text.last } == ["0", "1", "2", "3"])
  }
}
