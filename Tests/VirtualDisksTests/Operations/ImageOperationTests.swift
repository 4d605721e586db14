// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import TestSupport
import Testing

@testable import VirtualDisks

@Suite struct ImageOperationTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func create(_ name: String, _ size: UInt64? = 4 << 20, parent: String? = nil) throws {
    var creation = ImageCreation(path: folder[name], byteCount: size)
    creation.parentPath = parent.map { folder[$0] }
    try creation.perform()
  }

  private func change(_ name: String, _ body: (any DiskImage) throws -> Void) throws {
    var options = ImageChain.Options()
    options.isWritable = true
    let chain = try ImageChain.open(folder[name], options)
    try body(chain.image)
    try chain.image.close()
  }

  private func contents(_ name: String) throws -> [UInt8] {
    let chain = try ImageChain.open(folder[name])
    return try chain.image.bytes(at: 0, count: Int(chain.image.information.virtualByteCount))
  }

  private func failure(_ body: () throws(OperationError) -> Void) -> OperationError? {
    do throws(OperationError) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: ["a.vhd", "a.img"], ["b.vhd", "b.img"])
  func convertKeepsEveryByte(from: String, to: String) throws {
    try create(from)
    try change(from) { image in
      for offset: UInt64 in [0, 512 * 77, 3 << 20, (4 << 20) - 512] {
        try image.write([UInt8](repeating: UInt8(offset % 251) | 1, count: 512), at: offset)
      }
    }
    let last = Mutex<UInt64>(0)
    let control = OperationControl(progress: { done, total in
      last.withLock { $0 = done }
      #expect(total == 4 << 20)
    })
    try ImageConversion(from: folder[from], to: folder[to]).perform(control)
    #expect(last.withLock { $0 } == 4 << 20)
    #expect(try contents(from) == contents(to))
    #expect(folder.names == [from, to].sorted())
  }

  @Test func whatIsThereIsReplacedOnlyWhenAsked() throws {
    try create("a.vhd")
    try create("b.vhd", 1 << 20)
    var conversion = ImageConversion(from: folder["a.vhd"], to: folder["b.vhd"])
    #expect(failure { () throws(OperationError) in try conversion.perform() } == .exists(folder["b.vhd"]))
    #expect(
      failure { () throws(OperationError) in try ImageCreation(path: folder["b.vhd"], byteCount: 512).perform() }
        == .exists(folder["b.vhd"]))
    conversion.overwrites = true
    try conversion.perform()
    #expect(try ImageReport(folder["b.vhd"]).information.virtualByteCount == 4 << 20)
    // Not while somebody uses it.
    var options = ImageChain.Options()
    options.isWritable = true
    let user = try ImageChain.open(folder["b.vhd"], options)
    #expect(failure { () throws(OperationError) in try conversion.perform() } != nil)
    try user.image.close()
    // Neither a folder nor itself.
    folder.makeFolder("c.vhd")
    conversion.target = folder["c.vhd"]
    #expect(failure { () throws(OperationError) in try conversion.perform() } != nil)
    conversion.target = folder["a.vhd"]
    #expect(failure { () throws(OperationError) in try conversion.perform() } != nil)
    #expect(folder.names == ["a.vhd", "b.vhd", "c.vhd"])
  }

  @Test func cancellingLeavesNothing() throws {
    try create("a.img")
    try change("a.img") { try $0.write([UInt8](repeating: 1, count: 4 << 20), at: 0) }
    let control = OperationControl(isCancelled: { true })
    let conversion = ImageConversion(from: folder["a.img"], to: folder["b.vhd"])
    #expect(failure { () throws(OperationError) in try conversion.perform(control) } == .cancelled)
    #expect(folder.names == ["a.img"])
  }

  @Test func noSpaceAtCreationLeavesNothing() throws {
    var creation = ImageCreation(path: folder["a.vhd"], byteCount: 2040 << 30)
    creation.kind = .fixed
    let error = failure { () throws(OperationError) in try creation.perform() }
    // A host with two free tebibytes has no room for this test.
    guard let error else { return }
    guard case .image(let image) = error else { throw TestFailure("\(error)") }
    #expect(image.isNoSpace && image.file == folder["a.vhd"])
    #expect(folder.names.isEmpty)
  }

  @Test(arguments: [0, 1, 1000, 511, (2040 << 30) + 512, UInt64.max, UInt64.max - 511] as [UInt64])
  func sizesThatCannotBe(size: UInt64) throws {
    for name in ["a.vhd", "a.img"] where !(name == "a.img" && size == (2040 << 30) + 512) {
      let error = failure { () throws(OperationError) in
        try ImageCreation(path: folder[name], byteCount: size).perform()
      }
      #expect(error?.description.contains("\(size)") ?? false)
    }
    #expect(folder.names.isEmpty)
  }

  @Test func whatMakesNoSense() throws {
    func refused(_ change: (inout ImageCreation) -> Void) -> Bool {
      var creation = ImageCreation(path: folder["a.vhd"], byteCount: 1 << 20)
      change(&creation)
      return failure { () throws(OperationError) in try creation.perform() } != nil
    }
    #expect(refused { $0.kind = .differencing })
    #expect(refused { $0.blockByteCount = 3 << 20 })
    #expect(refused { $0.blockByteCount = 0 })
    #expect(refused { $0.sectorByteCount = 4096 })
    #expect(refused { $0.parentPath = folder["missing.vhd"] })
    #expect(refused { $0.byteCount = nil })
    #expect(refused { $0.path = folder["a.iso"] })
    #expect(refused { $0.path = folder["a"] })
    #expect(refused { $0.path = folder["none/a.vhd"] })
    #expect(
      refused {
        $0.path = folder["a.img"]
        $0.kind = .dynamic
      })
    #expect(folder.names.isEmpty)
  }

  @Test func compactGivesBackAndKeepsIdentity() throws {
    try create("base.vhd", 16 << 20)
    try change("base.vhd") { try $0.write([UInt8](repeating: 5, count: 16 << 20), at: 0) }
    try create("child.vhd", nil, parent: "base.vhd")
    try change("child.vhd") {
      try $0.write([UInt8](repeating: 6, count: 512), at: 1024)
      // Zeroes over a parent's data are data.
      try $0.writeZeroes(at: 8 << 20, count: 4 << 20)
    }
    let before = try contents("child.vhd")
    let result = try ImageCompaction(folder["child.vhd"]).perform()
    #expect(try contents("child.vhd") == before)
    #expect(result.after <= result.before)
    // Only now, since a child keeps its parent from being changed.
    let identifier = try ImageReport(folder["base.vhd"]).information.identifier
    _ = try ImageCompaction(folder["base.vhd"]).perform()
    #expect(try ImageReport(folder["base.vhd"]).information.identifier == identifier)
    #expect(try contents("child.vhd") == before)

    try create("alone.vhd", 16 << 20)
    try change("alone.vhd") { image in
      try image.write([UInt8](repeating: 5, count: 16 << 20), at: 0)
      try image.writeZeroes(at: 0, count: 15 << 20)
    }
    let alone = try ImageCompaction(folder["alone.vhd"]).perform()
    #expect(try ImageReport(folder["alone.vhd"]).fileByteCount < 3 << 20)
    #expect(alone.after < 3 << 20)
    #expect(folder.names == ["alone.vhd", "base.vhd", "child.vhd"])
  }

  @Test func compactPunchesRawDisks() throws {
    try create("a.img", 8 << 20)
    try change("a.img") { image in
      try image.write([UInt8](repeating: 0, count: 8 << 20), at: 0)
      try image.write([UInt8](repeating: 1, count: 512), at: 4 << 20)
    }
    let result = try ImageCompaction(folder["a.img"]).perform()
    #expect(result.before >= 8 << 20 && result.after <= 1 << 20)
    #expect(try contents("a.img")[4 << 20] == 1)
  }

  @Test func mergePutsTheChildIntoItsParent() throws {
    try create("base.vhd")
    try change("base.vhd") { try $0.write([UInt8](repeating: 1, count: 1 << 20), at: 0) }
    try create("middle.vhd", nil, parent: "base.vhd")
    try change("middle.vhd") {
      try $0.write([UInt8](repeating: 2, count: 1024), at: 512)
      try $0.writeZeroes(at: 8192, count: 4096)
    }
    try create("top.vhd", nil, parent: "middle.vhd")
    try change("top.vhd") {
      try $0.write([UInt8](repeating: 3, count: 512), at: 1024)
      try $0.writeZeroes(at: 512 << 10, count: 512 << 10)
    }
    let whole = try contents("top.vhd")
    let parent = try ImageMerge(folder["top.vhd"]).perform()
    #expect(parent == folder["middle.vhd"] && folder.names == ["base.vhd", "middle.vhd"])
    #expect(try contents("middle.vhd") == whole)
    #expect(try ImageReport(folder["middle.vhd"]).information.kind == .differencing)
    var merge = ImageMerge(folder["middle.vhd"])
    merge.keepsChild = true
    _ = try merge.perform()
    #expect(try contents("base.vhd") == whole)
    #expect(folder.names == ["base.vhd", "middle.vhd"])
    // The old child's parent is gone.
    #expect(throws: ImageError.self) { try contents("middle.vhd") }
    #expect(failure { () throws(OperationError) in _ = try ImageMerge(folder["base.vhd"]).perform() } != nil)
  }

  @Test func resizeRefusesToCutDataUnlessAsked() throws {
    for name in ["a.vhd", "a.img"] {
      try create(name)
      try change(name) { try $0.write([UInt8](repeating: 1, count: 512), at: 3 << 20) }
      var resizing = ImageResizing(folder[name], to: 2 << 20)
      #expect(failure { () throws(OperationError) in try resizing.perform() } != nil)
      #expect(try contents(name)[3 << 20] == 1)
      resizing.discardsData = true
      try resizing.perform()
      resizing.byteCount = 4 << 20
      try resizing.perform()
      #expect(try contents(name).allSatisfy { $0 == 0 })
      resizing.byteCount = 1000
      #expect(failure { () throws(OperationError) in try resizing.perform() } != nil)
    }
  }

  @Test func checkNamesWhatIsDamaged() throws {
    try create("a.vhd")
    try change("a.vhd") { try $0.write([UInt8](repeating: 1, count: 512), at: 0) }
    #expect(try ImageCheck(folder["a.vhd"]).perform() == ImageCheck.Result(findings: [], repaired: 0))
    // The footer: its copy is sound.
    let size = try ImageReport(folder["a.vhd"]).fileByteCount
    try poke("a.vhd", 0xff, at: size - 500)
    var check = ImageCheck(folder["a.vhd"])
    var result = try check.perform()
    #expect(result.isSound && result.findings.count == 1 && result.findings[0].isRepairable)
    #expect(result.findings[0].error.offset == size - 512 + 64)
    check.repairs = true
    #expect(try check.perform().repaired == 1)
    #expect(try ImageCheck(folder["a.vhd"]).perform().findings.isEmpty)
    // The table: nothing can bring it back.
    try poke("a.vhd", 0x7f, at: 1536)
    check.repairs = false
    result = try check.perform()
    #expect(!result.isSound && result.findings[0].error.structure == "block allocation table entry 0")
    check.repairs = true
    #expect(try check.perform().repaired == 0)
    // A missing file is no damage.
    #expect(failure { () throws(OperationError) in _ = try ImageCheck(folder["b.vhd"]).perform() } != nil)
  }

  @Test func growthThatWasCutOffIsUndone() throws {
    var creation = ImageCreation(path: folder["a.vhd"], byteCount: 1 << 20)
    creation.kind = .fixed
    try creation.perform()
    try change("a.vhd") { try $0.write([UInt8](repeating: 1, count: 512), at: (1 << 20) - 512) }
    #expect(unsafe truncate(folder["a.vhd"], 2 << 20) == 0)
    var check = ImageCheck(folder["a.vhd"])
    let result = try check.perform()
    #expect(!result.isSound && result.findings[0].isRepairable)
    check.repairs = true
    #expect(try check.perform().isSound)
    #expect(try contents("a.vhd")[(1 << 20) - 1] == 1)
    #expect(try ImageCheck(folder["a.vhd"]).perform().findings.isEmpty)
  }

  private func poke(_ name: String, _ byte: UInt8, at offset: UInt64) throws {
    let store = try FileStore(path: folder[name], mode: .readWrite)
    try store.write([byte], at: offset)
  }
}
