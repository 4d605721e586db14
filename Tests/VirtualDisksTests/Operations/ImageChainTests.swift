// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestSupport
import Testing

@testable import VirtualDisks

/// Which files an image leads to, and which it may not lead to.
@Suite struct ImageChainTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func create(_ name: String, parent: String? = nil, size: UInt64? = nil) throws {
    var creation = ImageCreation(path: folder[name], byteCount: parent == nil ? size ?? 4 << 20 : size)
    creation.parentPath = parent.map { folder[$0] }
    try creation.perform()
  }

  private func write(_ name: String, _ byte: UInt8, at offset: UInt64) throws {
    try write(name, [UInt8](repeating: byte, count: 512), at: offset)
  }

  private func write(_ name: String, _ bytes: [UInt8], at offset: UInt64) throws {
    var options = ImageChain.Options()
    options.isWritable = true
    let chain = try ImageChain.open(folder[name], options)
    try chain.image.write(bytes, at: offset)
    try chain.image.close()
  }

  private func failure(_ name: String, _ change: (inout ImageChain.Options) -> Void = { _ in }) -> ImageError? {
    var options = ImageChain.Options()
    change(&options)
    do throws(ImageError) {
      _ = try ImageChain.open(folder[name], options)
      return nil
    } catch {
      return error
    }
  }

  private func mentions(_ error: ImageError?, _ text: String) -> Bool { error?.description.contains(text) ?? false }

  @Test(arguments: ["vhd"]) func aChainShowsAllOfItsImages(format: String) throws {
    try create("base.\(format)")
    try write("base.\(format)", 1, at: 0)
    try create("middle.\(format)", parent: "base.\(format)")
    try write("middle.\(format)", 2, at: 512)
    try create("top.\(format)", parent: "middle.\(format)")
    try write("top.\(format)", 3, at: 1024)
    let chain = try ImageChain.open(folder["top.\(format)"])
    #expect(chain.layers.map(\.path) == ["top", "middle", "base"].map { folder["\($0).\(format)"] })
    let bytes = try chain.image.bytes(at: 0, count: 2048)
    #expect([bytes[0], bytes[512], bytes[1024], bytes[1536]] == [1, 2, 3, 0])
  }

  @Test func parentsMoveWithTheirChildren() throws {
    folder.makeFolder("a")
    folder.makeFolder("b")
    try create("a/base.vhd")
    try create("a/child.vhd", parent: "a/base.vhd")
    #expect(unsafe rename(folder["a/base.vhd"], folder["b/base.vhd"]) == 0)
    #expect(mentions(failure("a/child.vhd"), "the parent is missing: there is no \(folder.path)/a/"))
    #expect(unsafe rename(folder["a/child.vhd"], folder["b/child.vhd"]) == 0)
    #expect(failure("b/child.vhd") == nil)
    // A link to the child is followed before its parent is looked for.
    #expect(unsafe symlink(folder["b/child.vhd"], folder["link.vhd"]) == 0)
    #expect(failure("link.vhd") == nil)
  }

  @Test func aParentOutsideTheAllowedFoldersIsRefused() throws {
    folder.makeFolder("in")
    folder.makeFolder("out")
    try create("out/base.vhd")
    try create("in/child.vhd", parent: "out/base.vhd")
    #expect(failure("in/child.vhd") == nil)
    #expect(mentions(failure("in/child.vhd") { $0.parentFolders = [folder["in"]] }, "lies outside the folders"))
    #expect(failure("in/child.vhd") { $0.parentFolders = [folder["in"], folder["out"]] } == nil)
    // A link inside leads outside.
    try create("in/base.vhd")
    try create("in/second.vhd", parent: "in/base.vhd")
    #expect(unsafe unlink(folder["in/base.vhd"]) == 0)
    #expect(unsafe symlink(folder["out/base.vhd"], folder["in/base.vhd"]) == 0)
    #expect(mentions(failure("in/second.vhd") { $0.parentFolders = [folder["in"]] }, "lies outside the folders"))
    // A folder whose name only begins the same is another one.
    folder.makeFolder("in2")
    try create("in2/base.vhd")
    try create("in/third.vhd", parent: "in2/base.vhd")
    #expect(mentions(failure("in/third.vhd") { $0.parentFolders = [folder["in"]] }, "lies outside the folders"))
  }

  @Test func anotherDiskIsNoParent() throws {
    try create("base.vhd")
    try create("child.vhd", parent: "base.vhd")
    #expect(unsafe unlink(folder["base.vhd"]) == 0)
    try create("base.vhd")
    let error = failure("child.vhd")
    #expect(mentions(error, "is another disk") && error?.structure == "parent unique id")
    #expect(failure("child.vhd") { $0.acceptsChangedParent = true } != nil)
  }

  @Test func aChangedParentIsRefused() throws {
    try create("base.vhd")
    try create("child.vhd", parent: "base.vhd")
    #expect(failure("child.vhd") == nil)
    try write("base.vhd", 1, at: 0)
    // The file's own time would do, too.
    var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
    unsafe utimensat(AT_FDCWD, folder["base.vhd"], &times, 0)
    #expect(mentions(failure("child.vhd"), "was written to after this image was made"))
    #expect(failure("child.vhd") { $0.acceptsChangedParent = true } == nil)
  }

  @Test func itselfAndCyclesAreRefused() throws {
    try create("a.vhd")
    try create("b.vhd", parent: "a.vhd")
    try create("c.vhd", parent: "b.vhd")
    // a.vhd is replaced by what has b.vhd for its parent.
    #expect(unsafe rename(folder["c.vhd"], folder["a.vhd"]) == 0)
    #expect(mentions(failure("a.vhd"), "leads back to"))
    try create("d.vhd")
    try create("e.vhd", parent: "d.vhd")
    #expect(unsafe rename(folder["e.vhd"], folder["d.vhd"]) == 0)
    #expect(mentions(failure("d.vhd"), "names itself as its parent"))
  }

  @Test func chainsHaveALimit() throws {
    try create("0.vhd")
    for level in 1..<ImageChain.depthLimit { try create("\(level).vhd", parent: "\(level - 1).vhd") }
    #expect(failure("\(ImageChain.depthLimit - 1).vhd") == nil)
    #expect(throws: OperationError.self) {
      try create("\(ImageChain.depthLimit).vhd", parent: "\(ImageChain.depthLimit - 1).vhd")
      // Making it is allowed, opening it is not.
      if let error = failure("\(ImageChain.depthLimit).vhd") { throw OperationError.image(error) }
    }
  }

  @Test func aLargerParentShowsOnlyWhatTheChildIsLargeEnoughFor() throws {
    try create("base.vhd", size: 4 << 20)
    try create("child.vhd", parent: "base.vhd")
    var resizing = ImageResizing(folder["base.vhd"], to: 8 << 20)
    try resizing.perform()
    try write("base.vhd", 7, at: 6 << 20)
    var options = ImageChain.Options()
    options.acceptsChangedParent = true
    let chain = try ImageChain.open(folder["child.vhd"], options)
    #expect(chain.image.information.virtualByteCount == 4 << 20)
    #expect(try chain.image.firstData(in: 0..<4 << 20) == nil)
    resizing.path = folder["child.vhd"]
    resizing.options = options
    #expect(throws: OperationError.self) { try resizing.perform() }
  }

  @Test func twoWritersAreRefusedAndTheFirstIsNamed() throws {
    try create("disk.vhd")
    var options = ImageChain.Options()
    options.isWritable = true
    let first = try ImageChain.open(folder["disk.vhd"], options)
    let error = failure("disk.vhd") { $0.isWritable = true }
    guard case .store(let store) = error?.reason else { throw TestFailure("no second writer was refused") }
    #expect(store.reason == .inUse)
    #expect(failure("disk.vhd") != nil)
    let report = try ImageReport(folder["disk.vhd"])
    #expect(report.user != nil)
    try first.image.close()
  }

  @Test func readersShareAndKeepWritersAway() throws {
    try create("base.vhd")
    try create("one.vhd", parent: "base.vhd")
    try create("two.vhd", parent: "base.vhd")
    var options = ImageChain.Options()
    options.isWritable = true
    let one = try ImageChain.open(folder["one.vhd"], options)
    let two = try ImageChain.open(folder["two.vhd"], options)
    #expect(failure("base.vhd") == nil)
    #expect(failure("base.vhd") { $0.isWritable = true } != nil)
    try one.image.close()
    try two.image.close()
  }

  @Test func theNameOrTheUserSaysTheFormat() throws {
    for (name, format) in [
      ("a.vhd", ImageFormat.vhd), ("a.VHDX", .vhdx), ("a.avhdx", .vhdx), ("a.avhd", .vhd), ("a.iso", .iso),
      ("a.img", .raw), ("x.y/a.raw", .raw),
    ] {
      #expect(ImageFormat(fileName: name) == format)
    }
    for name in ["a", "a.qcow2", "a.vhd.bak", "vhd", "a.vhd/b", ""] { #expect(ImageFormat(fileName: name) == nil) }
    try create("disk.vhd")
    #expect(unsafe rename(folder["disk.vhd"], folder["disk"]) == 0)
    #expect(mentions(failure("disk"), "the format must be given"))
    #expect(failure("disk") { $0.format = .vhd } == nil)
    #expect(failure("disk") { $0.format = .vhdx } != nil)
    #expect(failure("missing.vhd") != nil)
  }

  /// A guest can write whatever begins or ends an image of another format: after a restart its raw disk is raw.
  @Test func aRawDiskStaysRawWhateverTheGuestWrites() throws {
    try create("guest.img", size: 1 << 20)
    let vhd = VHDFooter(
      kind: .dynamic, size: 1 << 20, identifier: VHDIdentifier.random(), timestamp: VHDTimestamp(rawValue: 1))
    let magics: [[UInt8]] = [
      Array("vhdxfile".utf8), vhd.encoded(), [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3], Array("KDMV".utf8),
      Array("conectix".utf8),
    ]
    for magic in magics {
      for place: UInt64 in [0, (1 << 20) - 512] {
        let sector = magic + [UInt8](repeating: 0, count: 512 - magic.count)
        try write("guest.img", sector, at: place)
        let again = try ImageChain.open(folder["guest.img"])
        #expect(again.image.information.format == .raw && again.layers.count == 1)
        #expect(again.image.information.virtualByteCount == 1 << 20)
        #expect(try again.image.bytes(at: place, count: 512) == sector)
        let report = try ImageReport(folder["guest.img"])
        #expect(report.information.format == .raw)
        #expect(try ImageCheck(folder["guest.img"]).perform().isSound)
      }
    }
  }
}
