// SPDX-License-Identifier: Apache-2.0

/// Why an operation on image files did not happen. Files are as they were before.
public enum OperationError: Error, Equatable, Sendable {
  case image(ImageError)
  /// There is a file of this name, and overwriting was not asked for.
  case exists(String)
  /// What was asked for makes no sense, and what would.
  case refused(String, remedy: String)
  case cancelled

  init(_ error: StoreError) { self = .image(ImageError(error)) }
}

extension OperationError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .image(let error): error.description
    case .exists(let path): "\(path) exists"
    case .refused(let what, let remedy): "\(what); \(remedy)"
    case .cancelled: "cancelled"
    }
  }
}

/// Runs calls on images inside an operation.
func onImage<Value>(_ body: () throws(ImageError) -> Value) throws(OperationError) -> Value {
  do throws(ImageError) { return try body() } catch { throw .image(error) }
}

func onStore<Value>(_ body: () throws(StoreError) -> Value) throws(OperationError) -> Value {
  do throws(StoreError) { return try body() } catch { throw OperationError(error) }
}
