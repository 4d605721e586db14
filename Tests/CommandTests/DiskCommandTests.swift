// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Testing
import VirtualDisks

@testable import lis

/// What `lis disk …` means, without running it, and how its errors end.
@Suite struct DiskCommandTests {
  private func parse<Command>(_ type: Command.Type, _ words: String...) throws -> Command {
    try #require(try Lis.parseAsRoot(["disk"] + words) as? Command)
  }

  @Test func verbs() throws {
    let create = try parse(
      DiskCreate.self, "create", "a.vhdx", "10G", "--kind", "fixed", "--block-size", "2M", "--sector-size", "4096",
      "--no-preallocate", "--overwrite", "--format", "json")
    #expect(create.path == "a.vhdx" && create.size?.byteCount == 10 << 30 && create.new.kind == .fixed)
    #expect(create.new.blockSize?.byteCount == 2 << 20 && create.new.sectorSize?.byteCount == 4096)
    #expect(create.new.preallocate == false && create.new.overwrite)
    #expect(try parse(DiskCreate.self, "create", "c.vhd", "--parent", "p.vhd").size == nil)
    #expect(try parse(DiskInfo.self, "info", "a", "--disk-format", "vhd").image.options.diskFormat == .vhd)
    #expect(try parse(DiskCheck.self, "check", "a.vhd", "--repair").repair)
    let convert = try parse(DiskConvert.self, "convert", "a.img", "b", "--target-format", "vhdx")
    #expect(convert.image.path == "a.img" && convert.target == "b" && convert.targetFormat == .vhdx)
    #expect(try parse(DiskMerge.self, "merge", "a.vhd", "--keep").keep)
    let compact = try parse(DiskCompact.self, "compact", "a.vhd", "--parent-folder", "/a", "--parent-folder", "/b")
    #expect(compact.image.options.chain.parentFolders == ["/a", "/b"])
    guard case .plus(let more) = try parse(DiskResize.self, "resize", "a.vhd", "+5G").size else {
      Issue.record("not a difference")
      return
    }
    #expect(more == 5 << 30)
    guard case .to(let size) = try parse(DiskResize.self, "resize", "a.vhd", "5G", "--cut").size else {
      Issue.record("not a size")
      return
    }
    #expect(size == 5 << 30)
  }

  @Test(arguments: [
    ["create"], ["create", "a.vhd", "10X"], ["create", "a.vhd", "-1"], ["create", "a.vhd", "1G", "--kind", "thin"],
    ["create", "a.vhd", "99999999999999999999"], ["create", "a.vhd", "1G", "--block-size", "8G"], ["info"],
    ["info", "a", "--disk-format", "qcow2"], ["resize", "a.vhd"], ["resize", "a.vhd", "+"], ["convert", "a.vhd"],
    ["burn", "a.iso"],
  ])
  func usageErrors(words: [String]) {
    do {
      _ = try Lis.parseAsRoot(["disk"] + words)
      Issue.record("accepted")
    } catch {
      #expect(Lis.exitCode(for: error).rawValue == ControlAPI.ExitStatus.usage.rawValue)
    }
  }

  /// docs/disks.md names these.
  @Test func exitCodes() {
    func code(_ reason: ImageError.Reason) -> ControlAPI.ExitStatus {
      ControlError(.image(ImageError(file: "a.vhd", structure: "footer", offset: 512, reason))).code.exitCode
    }
    func store(_ reason: StoreError.Reason, _ operation: StoreError.Operation = .write) -> ImageError.Reason {
      .store(StoreError(name: "a.vhd", operation: operation, reason: reason))
    }
    #expect(code(.damaged("x")) == .input)
    #expect(code(.unsupported("x")) == .input)
    #expect(code(.parent("x")) == .input)
    #expect(code(.invalid("x")) == .usage)
    #expect(code(store(.inUse, .lock)) == .refused)
    #expect(code(store(.noSpace)) == .hostFailure)
    #expect(code(store(.system(errno: 2), .open)) == .input)
    #expect(code(store(.system(errno: 5))) == .hostFailure)
    #expect(ControlError(OperationError.exists("a.vhd")).code.exitCode == .alreadyExists)
    #expect(ControlError(OperationError.cancelled).code.exitCode == .cancelled)
    #expect(ControlError(OperationError.refused("x", remedy: "y")).code.exitCode == .usage)
  }

  @Test func errorsNameFileStructureAndOffset() {
    let error = ControlError(
      .image(ImageError(file: "a.vhd", structure: "footer checksum", offset: 576, .damaged("it is 0x1"))))
    #expect(error.message == "a.vhd: footer checksum at byte 576: it is 0x1")
    #expect(error.remedy?.contains("lis disk check") ?? false)
  }
}
