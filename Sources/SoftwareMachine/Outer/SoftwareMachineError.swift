// SPDX-License-Identifier: Apache-2.0

/// Why the software machine could not run, or did not end as it should.
public enum SoftwareMachineError: Error, Equatable, CustomStringConvertible {
  /// This machine cannot do it at all.
  case unsupported(String)
  /// QEMU is not installed.
  case noQEMU
  /// Something that starting needs failed: what, and what to do.
  case preparation(String)
  /// A file named by the user cannot be used.
  case file(path: String, reason: String)
  /// QEMU ended or misbehaved.
  case qemu(String)
  /// The inner Linux died or hangs, with the last lines of its log.
  case innerLinux(String)
  /// A signal ended the preparation; nothing is left behind.
  case interrupted(signal: Int32)
  /// The inner program ended by a signal.
  case innerCrash(signal: Int32)

  public var description: String {
    switch self {
    case .unsupported(let reason): "the software machine cannot run here: \(reason)"
    case .noQEMU: "the software machine needs QEMU; \(AcceleratorError.qemuRemedy)"
    case .preparation(let reason): reason
    case .file(let path, let reason): "\(path): \(reason)"
    case .qemu(let reason): "QEMU failed: \(reason)"
    case .innerLinux(let reason): "the software machine's Linux failed: \(reason)"
    case .interrupted(let signal): "interrupted by \(SystemFiles.signalName(signal))"
    case .innerCrash(let signal): "the inner lis ended by signal \(signal) (\(SystemFiles.signalName(signal)))"
    }
  }
}
