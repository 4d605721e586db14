// SPDX-License-Identifier: Apache-2.0

public import Partition

/// Where the guest's kernel and initramfs lie.
public struct BootFiles: Sendable {
  public var kernel: BootFile
  public var initramfs: BootFile?

  public init(kernel: BootFile, initramfs: BootFile?) {
    self.kernel = kernel
    self.initramfs = initramfs
  }

  /// The files that the configuration names.
  public init(_ configuration: VirtualMachineConfiguration) {
    kernel = BootFile(path: configuration.kernel)
    initramfs = configuration.initramfs.map { BootFile(path: $0) }
  }
}
