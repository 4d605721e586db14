// SPDX-License-Identifier: Apache-2.0

/// What is wrong with an image, in a form that names file, structure, offset and reason in one line.
public struct ImageError: Error, Equatable, Sendable {
  public enum Reason: Equatable, Sendable {
    /// The file below failed. `.noSpace` in it pauses the machine.
    case store(StoreError)
    /// The file's own structures contradict the format or each other. Nothing was changed.
    case damaged(String)
    /// Sound, perhaps, but of a kind or version that this program does not know.
    case unsupported(String)
    /// What the caller asked for cannot be: a size of zero, a range beyond the end, an odd block size.
    case invalid(String)
    /// The parent of a differencing image is missing, changed, or not the one that the image was made on.
    case parent(String)
    case readOnly
    /// Metadata could not be written: the image takes no more writes until it is opened again.
    case poisoned
    case closed
  }

  /// The file's name, for people.
  public var file: String
  /// The structure concerned: "region table", "BAT entry 17".
  public var structure: String
  /// Where that structure lies in the file, in bytes.
  public var offset: UInt64?
  public var reason: Reason

  public init(file: String, structure: String, offset: UInt64? = nil, _ reason: Reason) {
    self.file = file
    self.structure = structure
    self.offset = offset
    self.reason = reason
  }

  /// A failed operation on the file itself.
  public init(_ error: StoreError, structure: String = "file") {
    self.init(file: error.name, structure: structure, offset: error.offset, .store(error))
  }

  /// True when the host is out of space: the operation may be repeated when there is some.
  public var isNoSpace: Bool {
    if case .store(let error) = reason { error.reason == .noSpace } else { false }
  }
}

extension ImageError: CustomStringConvertible {
  public var description: String {
    let place = offset.map { " at byte \($0)" } ?? ""
    let head = structure.isEmpty ? "\(file)\(place)" : "\(file): \(structure)\(place)"
    return switch reason {
    case .store(let error): structure == "file" ? error.description : "\(error.description) (\(structure))"
    case .damaged(let what), .unsupported(let what), .invalid(let what), .parent(let what): "\(head): \(what)"
    case .readOnly: "\(head): the image is open read-only"
    case .poisoned: "\(head): takes no more writes, because an earlier change to its metadata failed"
    case .closed: "\(head): the image is closed"
    }
  }
}
