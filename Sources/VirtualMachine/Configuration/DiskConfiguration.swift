// SPDX-License-Identifier: Apache-2.0

import ControlAPI
public import VirtualDisks

/// A disk or DVD drive on one of the machine's SCSI controllers.
public struct DiskConfiguration: Codable, Hashable, Sendable {
  public enum Kind: String, Codable, CaseIterable, Sendable { case disk, dvd }

  /// Hyper-V's limits.
  public static let controllers = DiskAddress.controllers
  public static let units = DiskAddress.luns

  public var kind: Kind
  /// Absolute path of the image; nil only for a DVD drive without a disc.
  public var path: String?
  /// nil only before validation: what the file's name says.
  public var format: ImageFormat?
  public var controller: Int
  /// The logical unit number. nil only before validation: the lowest one free on the controller.
  public var unit: Int?
  /// Always true for a DVD.
  public var isReadOnly: Bool
  public var hasWriteCache: Bool
  /// 512 or 4096, for a raw disk; nil: 512. The other formats say it themselves.
  public var sectorByteCount: UInt32?

  public init(
    kind: Kind = .disk, path: String?, format: ImageFormat? = nil, controller: Int = 0, unit: Int? = nil,
    isReadOnly: Bool = false, hasWriteCache: Bool = true, sectorByteCount: UInt32? = nil
  ) {
    self.kind = kind
    self.path = path
    self.format = format
    self.controller = controller
    self.unit = unit
    self.isReadOnly = isReadOnly || kind == .dvd
    self.hasWriteCache = hasWriteCache
    self.sectorByteCount = sectorByteCount
  }

  /// How the image is opened.
  public var imageOptions: ImageChain.Options {
    var options = ImageChain.Options()
    options.format = format
    options.isWritable = !isReadOnly
    if let sectorByteCount { options.sectorByteCount = sectorByteCount }
    return options
  }
}

extension ImageFormat: Codable {}
