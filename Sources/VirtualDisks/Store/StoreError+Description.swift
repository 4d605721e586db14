// SPDX-License-Identifier: Apache-2.0

import HostSystem

extension StoreError.Reason: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noSpace: "no space left on the host"
    case .endOfFile: "the file ends before this"
    case .unsupported: "the file system cannot do this"
    case .readOnly: "the file is open read-only"
    case .inUse: "the file is in use by another program or machine"
    case .system(let code): SystemError.message(code)
    }
  }
}

extension StoreError: CustomStringConvertible {
  /// One line: file, what was tried, where, why.
  public var description: String {
    let place = offset.map { " at byte \($0)" } ?? ""
    return "\(name): cannot \(verb)\(place): \(reason)"
  }

  private var verb: String {
    switch operation {
    case .open: "open"
    case .lock: "lock"
    case .size: "find the size"
    case .read: "read"
    case .write: "write"
    case .flush: "flush"
    case .resize: "change the size"
    case .deallocate: "give space back"
    }
  }
}
