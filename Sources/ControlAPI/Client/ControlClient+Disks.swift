// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// Disks and DVD drives.
extension ControlClient {
  /// What is under way on a disk ends before it changes, and a disk that grows may have to be written: a resize or
  /// removal may take this much longer, in seconds.
  private static let extraPatience = 540.0

  public func disks() async throws(ControlError) -> [AttachedDisk] { try await get("/v1/disks") }

  public func addDisk(_ request: DiskRequest) async throws(ControlError) -> AttachedDisk {
    try decode(try await send(.POST, "/v1/disks", request))
  }

  public func removeDisk(at address: DiskAddress) async throws(ControlError) {
    try await send(.DELETE, path(of: address), longerBy: Self.extraPatience)
  }

  public func resizeDisk(at address: DiskAddress, to byteCount: UInt64) async throws(ControlError) -> AttachedDisk {
    try decode(
      try await send(.PATCH, path(of: address), DiskUpdate(sizeBytes: byteCount), longerBy: Self.extraPatience))
  }

  public func insertDisc(_ request: DiscRequest, at address: DiskAddress) async throws(ControlError) -> AttachedDisk {
    try decode(try await send(.PUT, path(of: address) + "/disc", request))
  }

  public func ejectDisc(at address: DiskAddress, force: Bool) async throws(ControlError) -> AttachedDisk {
    try decode(try await send(.DELETE, path(of: address) + "/disc?force=\(force)"))
  }

  private func path(of address: DiskAddress) -> String { "/v1/disks/\(address.target)" }
}
