// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct DiskCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk", abstract: "Make, look at and change disk images: VHDX, VHD, raw and ISO files.",
    discussion: """
      These commands work on files; no machine has to run, and none may use a file that is changed. The format is what \
      the file's name says (.vhdx, .avhdx, .vhd, .avhd, .iso, .img, .raw) or what --disk-format says. It is never guessed from \
      what is in the file. Sizes are bytes, or a number with K, M, G or T (powers of 1024).

      What a command writes appears under its name when it is complete; Ctrl-C leaves things as they were. See \
      docs/disks.md.
      """,
    subcommands: [
      DiskCreate.self, DiskInfo.self, DiskCheck.self, DiskConvert.self, DiskResize.self, DiskCompact.self,
      DiskMerge.self,
    ])
}
