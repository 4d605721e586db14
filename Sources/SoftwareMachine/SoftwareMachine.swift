// SPDX-License-Identifier: Apache-2.0

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
    throw .unsupported("not yet")
  }
}
