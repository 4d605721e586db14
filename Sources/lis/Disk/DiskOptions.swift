// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import VirtualDisks
import VirtualMachine

extension ImageFormat: ExpressibleByArgument {}
extension ImageKind: ExpressibleByArgument {}

/// `512M`, `10G`, plain bytes.
struct DiskSize: ExpressibleByArgument {
  var byteCount: UInt64

  init?(argument: String) {
    guard let size = ByteCount(argument) else { return nil }
    byteCount = size.rawValue
  }
}

/// A size that must fit a field of 32 bits in every format.
struct SmallDiskSize: ExpressibleByArgument {
  var byteCount: UInt32

  init?(argument: String) {
    guard let size = ByteCount(argument), let count = UInt32(exactly: size.rawValue) else { return nil }
    byteCount = count
  }
}

/// An image that is there.
struct ImageArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The image file.", valueName: "image"), completion: .file())
  var path: String

  @OptionGroup var options: ImageOptions
}

struct ImageOptions: ParsableArguments {
  @Option(
    name: .customLong("disk-format"),
    help: ArgumentHelp("The image's format: raw, iso, vhd or vhdx (default: what its name says).", valueName: "format"))
  var diskFormat: ImageFormat?

  @Option(
    name: .customLong("parent-folder"),
    help: ArgumentHelp(
      "Refuse parents that lie outside this folder; may be repeated (default: parents may lie anywhere).",
      valueName: "folder"), completion: .directory)
  var parentFolders: [String] = []

  @Flag(help: "Accept a parent that was written to after its child was made; the disk may show nonsense then.")
  var acceptChangedParent = false

  var chain: ImageChain.Options {
    var options = ImageChain.Options()
    options.format = diskFormat
    options.parentFolders = parentFolders.isEmpty ? nil : parentFolders
    options.acceptsChangedParent = acceptChangedParent
    return options
  }
}

/// What a new image is like.
struct NewImageOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "fixed, dynamic or differencing (default: dynamic; with --parent, differencing; raw images are fixed)."))
  var kind: ImageKind?

  @Option(
    help: ArgumentHelp(
      "Bytes of an allocation block (default: 2M for VHD, 32M for VHDX, or the parent's).", valueName: "size"))
  var blockSize: SmallDiskSize?

  @Option(
    help: ArgumentHelp(
      "Bytes of a sector as the guest sees it: 512 or 4096 (default: 512, or the source's).", valueName: "size"))
  var sectorSize: SmallDiskSize?

  @Option(
    help: ArgumentHelp(
      "Bytes of a physical sector, which guests align to: 512 or 4096 (default: 4096 for VHDX).", valueName: "size"))
  var physicalSectorSize: SmallDiskSize?

  @Flag(
    inversion: .prefixedNo,
    help: "Take all space on the host at once (default: for fixed VHD and VHDX, not for raw).")
  var preallocate: Bool?

  @Flag(help: "Replace a file of this name.")
  var overwrite = false
}
