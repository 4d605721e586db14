// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The outer half: a machine in software that runs one partition for this process.
///
/// QEMU's software processor (with AMD's SVM) restores a small Linux whose init is this same program, waiting for its
/// orders. It gets them, runs the partition with that Linux's KVM, and its console, standard error, control API and exit
/// code come back over one virtio-serial port.
public struct SoftwareMachine: Sendable {
  public struct Configuration: Sendable {
    /// What the inner `run` gets, uninterpreted (the configuration as JSON).
    public var orders: [UInt8]
    /// Files that the inner machine sees as read-only devices (kernel, initramfs), at most two, in this order.
    public var files: [String]
    /// The guest's memory in bytes: decides how large the inner Linux must be.
    public var memoryBytes: UInt64
    /// The guest's processor count (only for the process's own checks).
    public var processors: Int = 1
    /// Where to listen for API clients; nil: no API. The folder exists; the socket is removed at the end.
    public var controlSocket: String?
    /// The inner program's standard streams are connected to these. They are not closed. -1: none.
    public var input: Int32 = 0
    public var output: Int32 = 1
    public var error: Int32 = 2
    /// Called when signals go to the inner program, or end a preparation in order.
    public var steered: @Sendable () -> Void = {}
    /// Which of this machine's image files the inner program may have.
    public var images = ImageGrants()
    /// Called once with the error's number when `output` takes no more.
    public var lost: @Sendable (Int32) -> Void = { _ in }
    /// QEMU's ends of the streams of network frames (`FrameStream`), at most eight: the inner program finds them in this
    /// order (`InnerNetwork`). They are not closed.
    public var networks: [Int32] = []
    /// Sees the requests with small bodies of API clients, before the inner program does.
    public var clientRequest: (@Sendable (ClientRequest) -> Void)?
    /// Gets a line of progress while something long happens (first start: fetching, building, saving).
    public var progress: @Sendable (String) -> Void

    public init(
      orders: [UInt8], files: [String], memoryBytes: UInt64, controlSocket: String?,
      progress: @escaping @Sendable (String) -> Void
    ) {
      self.orders = orders
      self.files = files
      self.memoryBytes = memoryBytes
      self.controlSocket = controlSocket
      self.progress = progress
    }
  }

  public let configuration: Configuration

  public init(_ configuration: Configuration) { self.configuration = configuration }

  /// Runs the partition to its end and returns the inner program's exit code. Blocks: call it on a thread of its own or
  /// on the main thread, which must live until it returns. SIGINT, SIGTERM and SIGHUP go to the inner program meanwhile.
  public func run() throws(SoftwareMachineError) -> Int32 {
    #if !arch(x86_64)
      throw .unsupported("it needs an x86-64 processor")
    #else
      guard let qemu = QEMU.find() else { throw .noQEMU }
      guard configuration.files.count <= QEMUCommand.diskCount else {
        throw .preparation("the software machine takes at most \(QEMUCommand.diskCount) files")
      }
      guard configuration.orders.count <= StartRecord.maximumOrders else {
        throw .preparation("the configuration is too long for the software machine")
      }
      do {
        return try run(qemu)
      } catch let error as SoftwareMachineError {
        throw error
      } catch {
        throw .preparation("the software machine cannot be started: \(error)")
      }
    #endif
  }

  private func run(_ qemu: String) throws -> Int32 {
    let interrupts = try Interrupts()
    configuration.steered()
    // Files first: what the user named wrongly is said at once, before anything is built.
    var files: [Int32] = []
    var sizes: [UInt64] = []
    defer { for file in files { close(file) } }
    for path in configuration.files {
      let file = try Self.open(path)
      sizes.append(file.size)
      files.append(file.take())
    }
    let memory = QEMUCommand.memoryMebibytes(guestBytes: configuration.memoryBytes)
    let preparation = Preparation(qemu: qemu, memoryMebibytes: memory, interrupts: interrupts)
    let state = try preparation.state(progress: configuration.progress)
    if let path = configuration.controlSocket {
      let listener = try ControlListener(at: path)
      return try run(
        qemu, memory, state, files: files, sizes: sizes, listener: listener.descriptor.number, interrupts)
    }
    return try run(qemu, memory, state, files: files, sizes: sizes, listener: -1, interrupts)
  }

  private func run(
    _ qemu: String, _ memory: Int, _ state: borrowing Descriptor, files: [Int32], sizes: [UInt64], listener: Int32,
    _ interrupts: Interrupts
  ) throws -> Int32 {
    let window = try DataWindow.memory()
    let link = try Descriptor.socketPair()
    let machine = try RunningMachine(
      qemu: qemu, memoryMebibytes: memory, state: state, images: link.second, window: window,
      networks: configuration.networks, files: files)
    var pump = LinkPump(role: .outer, port: machine.port.number)
    pump.link.sendStart(
      StartRecord(
        ordersLength: UInt32(configuration.orders.count), wallClock: Clock.wall(), seed: Self.seed(), files: sizes),
      orders: configuration.orders)
    // After the start: the inner end takes nothing of a stream before it, not even the end of an input that is none.
    attachStandardStreams(&pump)
    let images = try FileServer(
      port: link.first, window: try DataWindow(window.number), grants: configuration.images)
    defer { images.stop() }
    var loop = OuterLoop(
      pump: pump, machine: machine, listener: listener, interrupts: interrupts, images: images,
      clientRequest: configuration.clientRequest, lost: configuration.lost)
    return try loop.run().get()
  }

  private func attachStandardStreams(_ pump: inout LinkPump) {
    if configuration.input >= 0 {
      pump.attach(reader: configuration.input, to: .input, owned: false)
    } else {
      pump.link.end(.input)
    }
    if configuration.output >= 0 { pump.attach(writer: configuration.output, to: .output, owned: false) }
    if configuration.error >= 0 { pump.attach(writer: configuration.error, to: .error, owned: false) }
  }

  private static func open(_ path: String) throws(SoftwareMachineError) -> OpenFile {
    do {
      let file = try Descriptor.open(path, O_RDONLY)
      let status = try FileStatus(file.number, path)
      guard status.isRegular else { throw SoftwareMachineError.file(path: path, reason: "not a regular file") }
      guard status.size > 0 else { throw SoftwareMachineError.file(path: path, reason: "the file is empty") }
      return OpenFile(file: file, size: UInt64(status.size))
    } catch let error as SystemError {
      throw .file(path: path, reason: SystemError.message(error.error))
    } catch let error as SoftwareMachineError {
      throw error
    } catch {
      throw .file(path: path, reason: "it cannot be opened")
    }
  }

  private static func seed() -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<StartRecord.seedSize).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  }
}

/// A file of the user's and its length.
private struct OpenFile: ~Copyable {
  let file: Descriptor
  let size: UInt64

  consuming func take() -> Int32 { file.take() }
}
