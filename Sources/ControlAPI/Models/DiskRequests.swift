// SPDX-License-Identifier: Apache-2.0

/// What an image file is.
public enum DiskFormat: String, Codable, CaseIterable, Sendable { case raw, iso, vhd, vhdx }

/// The body of `POST /v1/disks`.
public struct DiskRequest: StrictlyDecodable, Encodable, Hashable {
  /// Absent: a disk.
  public var kind: AttachedDisk.Kind?
  /// Absolute path of the image; absent only for a DVD drive without a disc.
  public var path: String?
  /// Absent: what the file's name says.
  public var format: DiskFormat?
  /// Absent: 0.
  public var controller: Int?
  /// Absent: the lowest one free.
  public var lun: Int?
  public var readOnly: Bool?
  /// Absent: on.
  public var writeCache: Bool?
  /// 512 or 4096, of a raw disk.
  public var sectorBytes: UInt32?

  public init(
    kind: AttachedDisk.Kind? = nil, path: String?, format: DiskFormat? = nil, controller: Int? = nil, lun: Int? = nil,
    readOnly: Bool? = nil, writeCache: Bool? = nil, sectorBytes: UInt32? = nil
  ) {
    self.kind = kind
    self.path = path
    self.format = format
    self.controller = controller
    self.lun = lun
    self.readOnly = readOnly
    self.writeCache = writeCache
    self.sectorBytes = sectorBytes
  }

  public static let knownFields: Set<String> = [
    "kind", "path", "format", "controller", "lun", "readOnly", "writeCache", "sectorBytes",
  ]

  func check() throws(ControlError) {
    if let path {
      try DiskRules.check(path)
    } else if kind != .dvd {
      throw ControlError(.badRequest, "field \"path\" is missing", remedy: "name the disk's image")
    }
    try DiskRules.check(controller, "controller", DiskAddress.controllers)
    try DiskRules.check(lun, "lun", DiskAddress.luns)
    if let sectorBytes, sectorBytes != 512, sectorBytes != 4096 {
      throw ControlError(.badRequest, "field \"sectorBytes\" is \(sectorBytes)", remedy: "use 512 or 4096")
    }
    if kind == .dvd, readOnly == false || writeCache != nil || sectorBytes != nil {
      throw ControlError(
        .badRequest, "a DVD drive has no readOnly false, writeCache or sectorBytes", remedy: "leave them out")
    }
  }
}

/// The body of `PATCH /v1/disks/{controller}/{unit}`.
public struct DiskUpdate: StrictlyDecodable, Encodable, Hashable {
  public var sizeBytes: UInt64

  public init(sizeBytes: UInt64) { self.sizeBytes = sizeBytes }

  public static let knownFields: Set<String> = ["sizeBytes"]
}

/// The body of `PUT /v1/disks/{controller}/{unit}/disc`.
public struct DiscRequest: StrictlyDecodable, Encodable, Hashable {
  /// Absolute path of the image.
  public var path: String
  /// Absent: what the file's name says, or `iso`.
  public var format: DiskFormat?

  public init(path: String, format: DiskFormat? = nil) {
    self.path = path
    self.format = format
  }

  public static let knownFields: Set<String> = ["path", "format"]
}

/// What each request is held to before the machine sees it.
enum DiskRules {
  /// The machine's process has a folder of its own: only an absolute path means the same to both.
  static func check(_ path: String) throws(ControlError) {
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw ControlError(.badRequest, "field \"path\" is not an absolute path", remedy: "begin it with a slash")
    }
  }

  static func check(_ number: Int?, _ field: String, _ range: ClosedRange<Int>) throws(ControlError) {
    guard let number, !range.contains(number) else { return }
    throw ControlError(
      .badRequest, "field \"\(field)\" is \(number)", remedy: "use \(range.lowerBound) to \(range.upperBound)")
  }
}
