// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// From nothing, or from what the cache holds, to a saved state that is open for reading.
struct Preparation {
  let qemu: String
  let memoryMebibytes: Int
  let interrupts: Interrupts

  /// The state's file, open: whoever empties the cache now does not hurt us.
  func state(progress: (String) -> Void) throws(SoftwareMachineError) -> Descriptor {
    let cache = try Cache.standard()
    let program = try ProgramImage.digest()
    let version = try qemuVersion()
    func identity(_ kernel: InnerKernel) -> (boot: String, state: String) {
      let boot = BootImage.identity(program: program, kernel: kernel)
      let state = SavedState.identity(
        bootImage: boot, qemu: qemu, qemuVersion: version, memoryMebibytes: memoryMebibytes)
      return (boot, state)
    }
    func open(_ state: SavedState) -> Descriptor? { try? Descriptor.open(state.path, O_RDONLY) }

    if let kernel = try InnerKernel.cached(in: cache),
      let state = SavedState.cached(identity(kernel).state, in: cache), let file = open(state)
    {
      return file
    }
    progress("preparing the software machine (only the first time; kept in \(cache.folder))")
    let lock = try cache.lock(interrupts: interrupts) {
      progress("waiting for another lis that prepares the same")
    }
    _ = lock.number
    cache.prune()
    let kernel = try InnerKernel.prepare(in: cache, interrupts: interrupts, progress: progress)
    let names = identity(kernel)
    let image = try BootImage.prepare(
      identity: names.boot, kernel: kernel, in: cache, interrupts: interrupts, progress: progress)
    let state = try SavedState.prepare(
      names.state, qemu: qemu, kernel: kernel, bootImage: image, memoryMebibytes: memoryMebibytes, in: cache,
      interrupts: interrupts, progress: progress)
    guard let file = open(state) else { throw .preparation("the saved state cannot be read: \(state.path)") }
    return file
  }

  /// QEMU's program file stands for its version: asking it takes a tenth of a second.
  private func qemuVersion() throws(SoftwareMachineError) -> String {
    do {
      let status = try FileStatus(at: qemu)
      return "\(status.size) \(status.modified) \(status.inode)"
    } catch {
      throw .preparation("QEMU cannot be read: \(error)")
    }
  }
}
