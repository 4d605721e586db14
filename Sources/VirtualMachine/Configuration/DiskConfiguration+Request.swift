// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import FoundationEssentials

extension DiskConfiguration {
  /// The disk that a request to the control API wants to open an image for; nil: none, or one that will be refused.
  ///
  /// On the software machine the outer process reads this off the client's words: the inner one may have this image.
  public init?(requestedBy method: String, _ target: String, _ body: [UInt8]) {
    let path = target.prefix { $0 != "?" }.split(separator: "/")
    do {
      switch (method, path.count) {
      case ("POST", 2) where path == ["v1", "disks"]:
        try self.init(JSONDecoder().decode(DiskRequest.self, from: Data(body)))
      case ("PUT", 5) where path.starts(with: ["v1", "disks"]) && path[4] == "disc":
        guard DiskAddress(controller: path[2], unit: path[3]) != nil else { return nil }
        try self.init(JSONDecoder().decode(DiscRequest.self, from: Data(body)))
      default: return nil
      }
    } catch {
      return nil
    }
  }

  init(_ request: DiskRequest) throws(ControlError) {
    self.init(
      kind: request.kind == .dvd ? .dvd : .disk, path: request.path, format: request.format.map(\.image),
      controller: request.controller ?? 0, unit: request.lun, isReadOnly: request.readOnly ?? false,
      hasWriteCache: request.writeCache ?? true, sectorByteCount: request.sectorBytes)
    try settle()
  }

  init(_ request: DiscRequest) throws(ControlError) {
    self.init(kind: .dvd, path: request.path, format: request.format.map(\.image))
    try settle()
  }
}
