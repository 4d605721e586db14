// SPDX-License-Identifier: Apache-2.0

public import Partition
public import VirtualDisks

/// Where the guest's kernel and initramfs lie, where the files of its disks come from, and where its network
/// adapters lead.
public struct BootFiles: Sendable {
  public var kernel: BootFile
  public var initramfs: BootFile?
  public var images: any StoreOpener
  public var networks: NetworkPlace

  public init(
    kernel: BootFile, initramfs: BootFile?, images: any StoreOpener = FileStoreOpener(), networks: NetworkPlace = .here
  ) {
    self.kernel = kernel
    self.initramfs = initramfs
    self.images = images
    self.networks = networks
  }

  /// The files that the configuration names.
  public init(_ configuration: VirtualMachineConfiguration) {
    kernel = BootFile(path: configuration.kernel)
    initramfs = configuration.initramfs.map { BootFile(path: $0) }
    images = FileStoreOpener()
    networks = .here
  }
}
