// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import Glibc
import HostSystem

/// The file that takes the guest's console.
public enum SerialFile {
  /// Opens and empties it; nil: the configuration names none. The caller closes the descriptor.
  public static func open(_ serial: SerialConsole) throws(ControlError) -> Int32? {
    guard case .file(let path) = serial else { return nil }
    let descriptor = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw ControlError(
        .input, "cannot write the serial console to \(path): \(SystemError.message(errno))",
        remedy: "check that the folder exists and is writable")
    }
    return descriptor
  }
}
