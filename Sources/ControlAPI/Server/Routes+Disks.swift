// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// Disks and DVD drives.
extension Routes {
  static let disks = [
    Route(.GET, "/v1/disks") { call throws(ControlError) in .value(try await call.control.disks()) },
    Route(.POST, "/v1/disks", body: .json) { call throws(ControlError) in
      let request = try call.decode(DiskRequest.self)
      try request.check()
      return .value(try await call.control.addDisk(request))
    },
    Route(.GET, "/v1/disks/{controller}/{unit}") { call throws(ControlError) in
      let address = try diskAddress(call)
      guard let disk = try await call.control.disks().first(where: { $0.address == address }) else {
        throw ControlError.noDisk(at: address)
      }
      return .value(disk)
    },
    Route(.PATCH, "/v1/disks/{controller}/{unit}", body: .json) { call throws(ControlError) in
      let update = try call.decode(DiskUpdate.self)
      return .value(try await call.control.resizeDisk(at: try diskAddress(call), to: update.sizeBytes))
    },
    Route(.DELETE, "/v1/disks/{controller}/{unit}") { call throws(ControlError) in
      try await call.control.removeDisk(at: try diskAddress(call))
      return .done
    },
    Route(.PUT, "/v1/disks/{controller}/{unit}/disc", body: .json) { call throws(ControlError) in
      let request = try call.decode(DiscRequest.self)
      try DiskRules.check(request.path)
      return .value(try await call.control.insertDisc(request, at: try diskAddress(call)))
    },
    Route(.DELETE, "/v1/disks/{controller}/{unit}/disc", query: ["force"]) { call throws(ControlError) in
      .value(try await call.control.ejectDisc(at: try diskAddress(call), force: try call.flag("force")))
    },
  ]

  private static func diskAddress(_ call: Call) throws(ControlError) -> DiskAddress {
    let (controller, unit) = (call.parameter("controller"), call.parameter("unit"))
    guard let address = DiskAddress(controller: controller, unit: unit) else {
      let places = IDEPlace.allCases.map(\.rawValue).joined(separator: ", ")
      throw ControlError(
        .notFound, "no controller \"\(controller)\" with a unit \"\(unit)\"",
        remedy: "SCSI controllers are 0 to \(DiskAddress.controllers.upperBound), with LUNs 0 to "
          + "\(DiskAddress.luns.upperBound); the IDE controller is \(DiskAddress.ideController), with \(places)")
    }
    return address
  }
}

extension ControlError {
  public static func noDisk(at address: DiskAddress) -> ControlError {
    ControlError(.notFound, "nothing is at \(address)", remedy: "`lis vm disk list` shows what is attached")
  }
}
