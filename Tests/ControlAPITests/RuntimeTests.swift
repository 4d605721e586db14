// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ControlAPI

/// Names, claims, leftovers.
@Suite struct RuntimeTests {
  private let directory = RuntimeDirectory(path: Harness.temporaryPath())

  @Test(arguments: ["a", "web-1", "A.b_c", "0", String(repeating: "n", count: 40)])
  func goodNames(text: String) throws { #expect(MachineName(text)?.text == text) }

  @Test(arguments: ["", ".", "..", "-a", "_a", "a/b", "a b", "ä", "a\n", "a\0", String(repeating: "n", count: 41)])
  func badNames(text: String) throws {
    #expect(MachineName(text) == nil)
    #expect(throws: ControlError.self) { try MachineName.parse(text) }
  }

  @Test func oneMachinePerName() throws {
    let name = try MachineName.parse("web")
    let claim = try RuntimeClaim(name, in: directory)
    #expect(directory.runningMachines() == [name])
    do {
      _ = try RuntimeClaim(name, in: directory)
      Issue.record("claimed twice")
    } catch {
      #expect(error.code == .alreadyRunning)
      #expect(error.message == "a machine named web is running already")
    }
    claim.release()
    claim.release()
    #expect(directory.runningMachines() == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    try FileManager.default.removeItem(atPath: directory.path)
  }

  @Test func leftoversAreCleaned() throws {
    let name = try MachineName.parse("dead")
    for listFirst in [true, false] {
      try FileManager.default.createDirectory(atPath: directory.folder(of: name), withIntermediateDirectories: true)
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: directory.path)
      for path in [directory.socket(of: name), directory.lock(of: name)] {
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
      }
      if listFirst {
        #expect(directory.runningMachines() == [])
        #expect(!FileManager.default.fileExists(atPath: directory.folder(of: name)))
      }
      let claim = try RuntimeClaim(name, in: directory)
      #expect(!FileManager.default.fileExists(atPath: claim.socket))
      claim.release()
    }
    try FileManager.default.removeItem(atPath: directory.path)
  }

  @Test func aFolderOfOthersIsNotTrusted() throws {
    let name = try MachineName.parse("web")
    try FileManager.default.createDirectory(
      atPath: directory.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: directory.path)
    #expect(throws: ControlError.self) { try RuntimeClaim(name, in: directory) }
    try FileManager.default.removeItem(atPath: directory.path)
    try FileManager.default.createSymbolicLink(atPath: directory.path, withDestinationPath: "/tmp")
    #expect(throws: ControlError.self) { try RuntimeClaim(name, in: directory) }
    try FileManager.default.removeItem(atPath: directory.path)
  }

  @Test func theSocketPathHasALimit() throws {
    let long = RuntimeDirectory(path: "/tmp/" + String(repeating: "x", count: 90))
    do {
      _ = try RuntimeClaim(try MachineName.parse("web"), in: long)
      Issue.record("claimed")
    } catch {
      #expect(error.code == .configuration)
    }
  }
}
