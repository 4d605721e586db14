// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

extension Descriptor {
  /// ioctl(2). `operation` says for people what it was to achieve.
  @discardableResult
  func control(_ request: UInt, _ argument: UInt = 0, _ operation: @autoclosure () -> String) throws(PartitionError)
    -> Int
  {
    let result = clinux_ioctl(number, request, argument)
    guard result >= 0 else { throw .system(operation: operation(), errno: Int32(-result)) }
    return result
  }

  /// ioctl(2) with the address of a structure that the kernel reads, or fills, or both.
  @discardableResult
  func control<T>(
    _ request: UInt, with value: inout T, _ operation: @autoclosure () -> String
  ) throws(PartitionError) -> Int {
    let result = unsafe withUnsafeMutablePointer(to: &value) {
      clinux_ioctl(number, request, UInt(bitPattern: $0))
    }
    guard result >= 0 else { throw .system(operation: operation(), errno: Int32(-result)) }
    return result
  }

  /// ioctl(2) with a structure that ends in a table, laid out in `words`.
  @discardableResult
  func control(
    _ request: UInt, words: inout [UInt64], _ operation: @autoclosure () -> String
  ) throws(PartitionError) -> Int {
    let result = unsafe words.withUnsafeMutableBytes { clinux_ioctl(number, request, UInt(bitPattern: $0.baseAddress)) }
    guard result >= 0 else { throw .system(operation: operation(), errno: Int32(-result)) }
    return result
  }
}

extension EventDescriptor {
  /// A new one, with a partition's words for its failure.
  public static func forPartition() throws(PartitionError) -> EventDescriptor {
    do throws(SystemError) { return try EventDescriptor() } catch {
      throw .system(operation: "making an event descriptor", errno: error.error)
    }
  }
}

extension DedicatedThread {
  /// A new one, with a partition's words for its failure.
  public static func forPartition(
    name: String, _ body: @escaping @Sendable () -> Void
  ) throws(PartitionError) -> DedicatedThread {
    do throws(SystemError) { return try DedicatedThread(name: name, body) } catch {
      throw .system(operation: "starting thread \(name)", errno: error.error)
    }
  }
}
