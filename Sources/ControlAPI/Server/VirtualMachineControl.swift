// SPDX-License-Identifier: Apache-2.0

/// What the control API can ask of a running machine. The server calls it from the cooperative pool, several calls at
/// once; an implementation must not block there (hand over to the service thread and await its answer).
///
/// Every method ends in an answer or an error within its deadline. A client that disconnects does not end a call: it
/// completes or rolls back, and the state stays queryable. The exception is a file copy, which its source cancels.
public protocol VirtualMachineControl: Sendable {
  /// Past and live events.
  var events: EventLog { get }
  /// The serial console; `nil` when the machine was started with `--serial off`.
  var console: ConsoleHub? { get }

  func describe() async throws(ControlError) -> MachineDescription

  /// Polite: returns once the guest is off; `.serviceUnavailable`, `.refused` or `.timedOut` if it will not go.
  func shutDown(timeout: Duration) async throws(ControlError)
  /// By force, at once.
  func turnOff() async throws(ControlError)
  /// Polite: returns once the machine was reset by its guest.
  func reboot(timeout: Duration) async throws(ControlError)
  /// By force, in place.
  func reset() async throws(ControlError)
  func pause() async throws(ControlError)
  func resume() async throws(ControlError)
  func injectNMI() async throws(ControlError)

  func disks() async throws(ControlError) -> [AttachedDisk]
  /// The request's fields are in range and its path is absolute. `.alreadyExists` for a place that is taken.
  func addDisk(_ request: DiskRequest) async throws(ControlError) -> AttachedDisk
  /// Returns when the image is closed. `.wrongState` for an IDE drive. This and the following: `.notFound` where no disk
  /// is.
  func removeDisk(at address: DiskAddress) async throws(ControlError)
  /// `.wrongState` for an IDE disk that the guest does not use through its channel.
  func resizeDisk(at address: DiskAddress, to byteCount: UInt64) async throws(ControlError) -> AttachedDisk
  /// `.alreadyExists` for a drive with a disc in it.
  func insertDisc(_ request: DiscRequest, at address: DiskAddress) async throws(ControlError) -> AttachedDisk
  /// `.wrongState` for a drive that the guest has locked, unless `force`.
  func ejectDisc(at address: DiskAddress, force: Bool) async throws(ControlError) -> AttachedDisk

  func nics() async throws(ControlError) -> [AttachedAdapter]
  /// `.badRequest` for texts that mean nothing; `.alreadyExists` for a name or address that another adapter has.
  func addNIC(_ request: NICRequest) async throws(ControlError) -> AttachedAdapter
  /// This and the following: `.notFound` for an unknown name.
  func removeNIC(_ name: String) async throws(ControlError)
  /// After an error the adapter is connected as it was.
  func connectNIC(_ name: String, _ request: NICConnectionRequest) async throws(ControlError) -> AttachedAdapter
  func setLink(ofNIC name: String, _ link: AttachedAdapter.Link) async throws(ControlError) -> AttachedAdapter
  func setVLAN(ofNIC name: String, _ vlan: String) async throws(ControlError) -> AttachedAdapter
  func setGuards(ofNIC name: String, _ request: NICGuardsRequest) async throws(ControlError) -> AttachedAdapter
  /// The path is absolute. `.wrongState` for an adapter that is not connected or captured already; `.alreadyExists` for
  /// a file that is there, unless `overwrite`.
  func startCapture(ofNIC name: String, _ request: NICCaptureRequest) async throws(ControlError) -> AdapterCapture
  /// Returns when the file is whole. `.wrongState` where none runs.
  func stopCapture(ofNIC name: String) async throws(ControlError) -> AdapterCapture

  func services() async throws(ControlError) -> [ServiceStatus]
  func setService(_ name: ServiceName, enabled: Bool) async throws(ControlError) -> ServiceStatus

  func keyValueItems(in pool: KeyValuePool) async throws(ControlError) -> [KeyValueItem]
  /// `.notFound` for a missing key.
  func keyValueItem(_ key: String, in pool: KeyValuePool) async throws(ControlError) -> KeyValueItem
  /// Adds or modifies.
  func setKeyValueItem(_ item: KeyValueItem) async throws(ControlError)
  /// `.notFound` for a missing key.
  func deleteKeyValueItem(_ key: String, in pool: KeyValuePool) async throws(ControlError)

  func addresses(of adapter: String) async throws(ControlError) -> AdapterAddresses
  func setAddresses(_ addresses: AdapterAddresses) async throws(ControlError)

  func copyFile(_ request: FileCopyRequest, from source: FileCopySource) async throws(ControlError) -> FileCopyResult

  func checkSnapshot() async throws(ControlError) -> SnapshotStatus
  /// Returns once the guest is frozen; the host thaws by itself after `deadline`.
  func freeze(deadline: Duration) async throws(ControlError) -> SnapshotStatus
  func thaw() async throws(ControlError) -> SnapshotStatus
}
