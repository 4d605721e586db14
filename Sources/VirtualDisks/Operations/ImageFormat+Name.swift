// SPDX-License-Identifier: Apache-2.0

extension ImageFormat {
  /// The format that a file's name says: `.vhd` and `.avhd`, `.vhdx` and `.avhdx`, `.iso`, `.img` and `.raw`, in any
  /// case. nil for every other name: then the user has to say it, because what a file holds may be the guest's.
  public init?(fileName: String) {
    guard let dot = fileName.lastIndex(of: "."), !fileName[dot...].contains("/") else { return nil }
    switch fileName[fileName.index(after: dot)...].lowercased() {
    case "vhd", "avhd": self = .vhd
    case "vhdx", "avhdx": self = .vhdx
    case "iso": self = .iso
    case "img", "raw": self = .raw
    default: return nil
    }
  }

  /// What the user said, or else what the name says.
  static func of(_ path: String, _ explicit: ImageFormat?) throws(ImageError) -> ImageFormat {
    if let format = explicit ?? ImageFormat(fileName: path) { return format }
    throw ImageError(
      file: path, structure: "",
      .unsupported("its name does not tell its format (.vhd, .vhdx, .iso, .img, .raw), so the format must be given"))
  }
}
