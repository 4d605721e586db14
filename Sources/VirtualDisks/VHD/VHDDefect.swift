// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a structure of a VHD file.
struct VHDDefect: Error, Equatable {
  /// The structure and field, as the format's specification calls them.
  var structure: String
  /// From the start of the structure, in bytes.
  var offset: UInt64
  var detail: String

  init(_ structure: String, at offset: UInt64, _ detail: String) {
    self.structure = structure
    self.offset = offset
    self.detail = detail
  }
}
