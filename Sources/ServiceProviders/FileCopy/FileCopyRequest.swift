// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// A file to be copied into the guest.
public struct FileCopyRequest: Hashable, Sendable {
  /// The name in the folder: at most 259 bytes of UTF-8, without a slash.
  public var name: String
  /// The guest's folder: absolute, at most 258 bytes of UTF-8.
  public var folder: String
  public var size: UInt64
  public var overwrite: Bool
  /// Make missing folders.
  public var createPath: Bool

  public init(name: String, folder: String, size: UInt64, overwrite: Bool = false, createPath: Bool = false) {
    self.name = name
    self.folder = folder
    self.size = size
    self.overwrite = overwrite
    self.createPath = createPath
  }

  /// The folder as the guest wants it. Linux's daemons look at, and make, only folders that a slash follows
  /// (hv_start_fcopy in tools/hv/hv_fcopy_daemon.c), so the last one gets one (quirk FCOPY-LAST-FOLDER).
  var folderOnWire: String { folder.hasSuffix("/") ? folder : folder + "/" }

  var flags: FileCopyFlags {
    var flags = FileCopyFlags(rawValue: 0)
    if overwrite { flags = flags.union(.overwrite) }
    if createPath { flags = flags.union(.createPath) }
    return flags
  }

  /// What the wire, and Linux behind it, can take. The driver of 6.1 cuts both texts to 259 bytes of UTF-8.
  func check() throws(ServiceError) {
    let units = FileCopyStart.textUnits - 1
    guard !name.isEmpty, name != ".", name != ".." else { throw .invalidRequest("\"\(name)\" is no file name") }
    guard !name.utf8.contains(UInt8(ascii: "/")) else {
      throw .invalidRequest("the file name \"\(name)\" contains a slash")
    }
    guard folder.hasPrefix("/") else { throw .invalidRequest("the folder \"\(folder)\" is not absolute") }
    try KeyValueLimits.check(name, "file name", units: units, bytes: units)
    try KeyValueLimits.check(folderOnWire, "folder", units: units, bytes: units)
    guard size <= UInt64(Int64.max) else { throw .invalidRequest("the file is larger than a file can be") }
  }

  /// Quirk FCOPY-UIO-ASCII: the uio daemon of Linux 6.12 (wcstoutf8 in tools/hv/hv_fcopy_uio_daemon.c) turns what is not
  /// ASCII into other characters, and a folder of more than 131 characters by what lies behind it.
  func checkForUIODaemon() throws(ServiceError) {
    guard name.utf8.allSatisfy({ $0 < 0x80 }), folder.utf8.allSatisfy({ $0 < 0x80 }), folderOnWire.utf16.count <= 131
    else { throw .nameNotSupported }
  }
}
