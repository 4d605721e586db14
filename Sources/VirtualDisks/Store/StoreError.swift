// SPDX-License-Identifier: Apache-2.0

/// What went wrong between an image and the bytes below it. Never a trap: files fail, fill up and change under us.
public struct StoreError: Error, Equatable, Sendable {
  public enum Operation: String, Sendable { case open, lock, size, read, write, flush, resize, deallocate }

  public enum Reason: Equatable, Sendable {
    /// The host is out of space or over quota: worth waiting for, the machine pauses on it.
    case noSpace
    /// The store ends before the range does.
    case endOfFile
    /// The store, or the file system below it, cannot do this at all.
    case unsupported
    case readOnly
    /// Another program, or another machine of ours, has the file open in a way that excludes this one.
    case inUse
    case system(errno: Int32)
  }

  /// The store's name, for people.
  public var name: String
  public var operation: Operation
  public var reason: Reason
  /// Byte offset in the store at which the operation failed; nil where there is none.
  public var offset: UInt64?

  public init(name: String, operation: Operation, reason: Reason, offset: UInt64? = nil) {
    self.name = name
    self.operation = operation
    self.reason = reason
    self.offset = offset
  }
}
