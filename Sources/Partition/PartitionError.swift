// SPDX-License-Identifier: Apache-2.0

/// Why a partition could not be made or steered. Every text names the input and the remedy.
public enum PartitionError: Error, Equatable, Sendable {
  case processorCountOutOfRange(Int)
  case memoryTooSmall(UInt64)
  case memorySizeNotUsable(UInt64)
  case memoryLargerThanHost(UInt64, host: UInt64)
  case commandLineTooLong(Int, limit: Int)
  case commandLineNotUsable
  case kernel(path: String, BootFileProblem)
  case initramfs(path: String, BootFileProblem)
  case kvmMissing(path: String)
  case kvmNoPermission(path: String)
  case kvmNotUsable(path: String, reason: String)
  case kvmWithoutHyperV(missing: String)
  case doorbell(connection: UInt32, errno: Int32)
  case wrongState(String)
  case system(operation: String, errno: Int32)
}

/// What is wrong with a kernel or initramfs file.
public enum BootFileProblem: Equatable, Sendable {
  case missing
  case noPermission
  case notAFile
  case empty
  case unreadable(errno: Int32)
  case truncated(needed: UInt64, available: UInt64)
  case notAKernel
  case wrongArchitecture(String)
  case noEntryPoint(String)
  case malformed(String)
  case doesNotFit(needed: UInt64, available: UInt64)
}
