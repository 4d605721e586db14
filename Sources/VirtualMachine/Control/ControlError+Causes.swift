// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import DeviceProtocols
import Glibc
import HostSystem
public import Partition
import ServiceProviders
public import VirtualDisks
public import VirtualSwitch

extension ControlError {
  /// A partition's error as the control API and the command line report it: what, which input, what to do.
  public init(_ error: PartitionError) {
    switch error {
    case .processorCountOutOfRange(let count):
      self.init(
        .configuration, "\(count) processors",
        remedy: "give \(PartitionConfiguration.processorLimits.lowerBound) to "
          + "\(PartitionConfiguration.processorLimits.upperBound)")
    case .memoryTooSmall(let bytes):
      self.init(
        .configuration, "\(Self.mebibytes(bytes)) of memory are too little",
        remedy: "give at least \(Self.mebibytes(PartitionConfiguration.minimumMemory))")
    case .memorySizeNotUsable(let bytes):
      self.init(.configuration, "\(bytes) bytes of memory", remedy: "give a multiple of 2 MiB")
    case .memoryLargerThanHost(let bytes, let host):
      self.init(
        .configuration, "\(Self.mebibytes(bytes)) of memory are more than this host has (\(Self.mebibytes(host)))",
        remedy: "give the machine less memory")
    case .commandLineTooLong(let count, let limit):
      self.init(
        .configuration, "the kernel command line has \(count) bytes", remedy: "this kernel takes at most \(limit)")
    case .commandLineNotUsable:
      self.init(.configuration, "the kernel command line contains a NUL byte", remedy: "remove it")
    case .kernel(let path, let problem): self.init("kernel", path, problem)
    case .initramfs(let path, let problem): self.init("initramfs", path, problem)
    case .kvmMissing(let path):
      self.init(
        .hostUnsupported, "\(path) does not exist", remedy: "load the kvm module, or use --accelerator software")
    case .kvmNoPermission(let path):
      self.init(
        .hostUnsupported, "no permission to use \(path)",
        remedy: "add yourself to the group that owns it (usually kvm), or use --accelerator software")
    case .kvmNotUsable(let path, let reason):
      self.init(.hostUnsupported, "\(path) is not usable: \(reason)", remedy: "use --accelerator software")
    case .kvmWithoutHyperV(let missing):
      self.init(
        .hostUnsupported, "this kernel's KVM has no \(missing)",
        remedy: "use a kernel with CONFIG_KVM_HYPERV (before 6.8 it is always there), or --accelerator software")
    case .doorbell(let connection, let code):
      self.init(.hostFailure, "KVM did not take a doorbell for connection \(connection): \(Self.text(code))")
    case .wrongState(let state): self.init(.wrongState, state)
    case .system(let operation, let code): self.init(.hostFailure, "\(operation) failed: \(Self.text(code))")
    }
  }

  /// A switch's, or one of its ways out.
  public init(_ error: SwitchError) {
    let code: Code
    switch error {
    case .noSuchPort, .noSuchInterface, .noSwitch: code = .notFound
    case .nameTaken, .addressTaken: code = .alreadyExists
    case .interfaceBusy: code = .busy
    case .notPermitted, .noPasst: code = .hostUnsupported
    case .vlanOutOfRange, .emptyTrunk, .unusableAddress, .payloadOutOfRange: code = .configuration
    case .full, .refused, .closed: code = .wrongState
    case .notATAP, .captureFailed: code = .input
    case .passtFailed, .system: code = .hostFailure
    }
    self.init(code, error.description, remedy: error.remedy)
  }

  /// An image's error, which names file, structure and offset already.
  public init(_ error: ImageError) {
    let text = error.description
    switch error.reason {
    case .store(let store):
      switch store.reason {
      case .noSpace: self.init(.hostFailure, text, remedy: "make room; nothing has changed")
      case .inUse: self.init(.busy, text, remedy: "stop the machine or program that uses it")
      case .readOnly: self.init(.input, text, remedy: "make the file writable, or attach it read-only")
      case .endOfFile: self.init(.input, text, remedy: "the file has become shorter; get it anew")
      case .unsupported where store.operation == .open: self.init(.input, text, remedy: "name a regular file")
      case .system where store.operation == .open:
        self.init(.input, text, remedy: "check the path and its permissions")
      default: self.init(.hostFailure, text)
      }
    case .damaged:
      self.init(.input, text, remedy: "`lis disk check` says more, and --repair puts right what can be")
    case .unsupported:
      self.init(.input, text, remedy: "give the right format, or convert the image where it comes from")
    case .invalid: self.init(.badRequest, text)
    case .parent:
      self.init(
        .input, text, remedy: "put the right parent there; `lis disk info` says where the image looks for it")
    case .readOnly, .poisoned, .closed: self.init(.hostFailure, text)
    }
  }

  private init(_ what: String, _ path: String, _ problem: BootFileProblem) {
    let file = "\(what) \(path)"
    switch problem {
    case .missing: self.init(.input, "\(file) does not exist", remedy: "check the path")
    case .noPermission: self.init(.input, "\(file) is not readable", remedy: "check its permissions")
    case .notAFile: self.init(.input, "\(file) is not a file", remedy: "check the path")
    case .empty: self.init(.input, "\(file) is empty", remedy: "check how it was made")
    case .unreadable(let code): self.init(.input, "\(file) cannot be read: \(Self.text(code))")
    case .truncated(let needed, let available):
      self.init(
        .input, "\(file) is truncated: it has \(available) bytes and speaks of \(needed)", remedy: "get it anew")
    case .notAKernel:
      self.init(
        .input, "\(file) is neither a bzImage nor an ELF vmlinux",
        remedy: "give the file that distributions install as /boot/vmlinuz-…")
    case .wrongArchitecture(let architecture):
      self.init(.input, "\(file) is for \(architecture)", remedy: "give a kernel for x86-64")
    case .noEntryPoint(let reason):
      self.init(.input, "\(file) has no usable entry point: \(reason)", remedy: "give a 64-bit kernel from 3.8 on")
    case .malformed(let reason): self.init(.input, "\(file) is malformed: \(reason)", remedy: "get it anew")
    case .doesNotFit(let needed, let available):
      self.init(
        .input, "\(file) does not fit: it needs \(Self.mebibytes(needed)), \(Self.mebibytes(available)) are left",
        remedy: "give the machine more memory")
    }
  }

  private static func text(_ code: Int32) -> String { SystemError.message(code) }

  private static func mebibytes(_ bytes: UInt64) -> String { "\((bytes + (1 << 20) - 1) >> 20) MiB" }
}

extension ControlError {
  /// A service's error for the client who asked. `name`: the service; `subject`: what the request was about.
  init(_ error: ServiceError, name: ServiceName, subject: String = "") {
    let service = "the guest's \(name.title) service"
    switch error {
    case .unavailable(.closed) where name == .copy:
      // From Linux 6.10 on the daemon opens the channel itself (uio_hv_generic), and closes it when it ends.
      self.init(
        .serviceUnavailable, "\(service) is not there: neither its driver nor its daemon runs",
        remedy: "switch it on (`lis service enable \(name.rawValue)`), load hv_utils or, from Linux 6.10 on, "
          + "uio_hv_generic, and start the guest's hyperv-daemons")
    case .unavailable(.closed):
      self.init(
        .serviceUnavailable, "\(service) is not there",
        remedy: "switch it on (`lis service enable \(name.rawValue)`) and see that the guest has loaded hv_utils")
    case .unavailable(.negotiating): self.init(.serviceUnavailable, "\(service) is being set up", remedy: "try again")
    case .unavailable(.waitingForDaemon), .daemonNotRunning:
      self.init(
        .serviceUnavailable, "the daemon of \(service) does not run",
        remedy: "install and start the guest's hyperv-daemons")
    case .unavailable(.unsupported):
      self.init(.serviceUnavailable, "\(service) knows none of our protocol versions")
    case .unavailable(.ready): self.init(.serviceUnavailable, "\(service) is busy", remedy: "try again")
    case .queueFull: self.init(.busy, "too many requests wait for \(service)", remedy: "try again later")
    case .notAnswering(let milliseconds):
      self.init(.timedOut, "\(service) did not answer within \(Double(milliseconds) / 1000) s")
    case .channelClosed:
      self.init(.serviceUnavailable, "\(service) went away before it answered", remedy: "try again when it is back")
    case .refused(let status):
      self.init(.refused, "the guest refused (0x\(String(status.rawValue, radix: 16)))\(Self.about(subject))")
    case .invalidAnswer(let fault):
      self.init(.guestFailure, "the guest's answer made no sense (\(fault.rawValue))\(Self.about(subject))")
    case .unsupportedByVersion:
      self.init(.serviceUnavailable, "the version of \(service) that the guest chose has no such request")
    case .invalidRequest(let reason): self.init(.badRequest, reason)
    case .cancelled(let remains): self.init(.cancelled, "cancelled\(Self.about(subject))\(Self.left(remains))")
    case .noSuchKey: self.init(.notFound, "no such key\(Self.about(subject))")
    case .keyExists: self.init(.alreadyExists, "the key exists\(Self.about(subject))")
    case .adapterNotFound:
      self.init(
        .notFound, "the guest has no such network adapter\(Self.about(subject))",
        remedy: "name it by its MAC address")
    case .fileExists:
      self.init(.alreadyExists, "the file exists\(Self.about(subject))", remedy: "use --overwrite to replace it")
    case .cannotCreate:
      self.init(
        .guestFailure, "the guest cannot create the file\(Self.about(subject))",
        remedy: "check that its folder exists (or use --create-folders) and is writable in the guest")
    case .diskFull(let remains):
      self.init(.guestFailure, "the guest's disk is full\(Self.about(subject))\(Self.left(remains))")
    case .writeFailed(let status, let remains):
      self.init(
        .guestFailure,
        "the guest could not write (0x\(String(status.rawValue, radix: 16)))\(Self.about(subject))\(Self.left(remains))"
      )
    case .copyInterrupted(let reason, let remains):
      let why =
        switch reason {
        case .notAnswering: "the guest stopped answering"
        case .daemonNotRunning: "the guest's file copy daemon went away"
        case .channelClosed: "the service went away"
        }
      self.init(
        reason == .notAnswering ? .timedOut : .serviceUnavailable,
        "\(why) in the middle of the copy\(Self.about(subject))\(Self.left(remains))")
    case .sourceFailed(let reason, let remains): self.init(.cancelled, "\(reason)\(Self.left(remains))")
    case .nameNotSupported:
      self.init(
        .refused, "this guest's file copy daemon does not take such a name\(Self.about(subject))",
        remedy: "use ASCII characters")
    case .freezeFailed: self.init(.guestFailure, "the guest could not freeze its file systems; it has thawed them")
    case .alreadyFrozen:
      self.init(.wrongState, "the guest's file systems are frozen already", remedy: "thaw them first")
    }
  }

  private static func about(_ subject: String) -> String { subject.isEmpty ? "" : ": \(subject)" }

  private static func left(_ remains: FileRemains) -> String {
    switch remains {
    case .nothing: ""
    case .removed: "; the guest has removed the unfinished file"
    case .emptyFile: "; an empty file is left, since the guest's daemon cannot remove files"
    case .perhapsPartialFile: "; an unfinished file may be left in the guest"
    }
  }
}
