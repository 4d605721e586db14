// SPDX-License-Identifier: Apache-2.0

/// What the inner program is asked to run.
public struct InnerOrders: Sendable, Equatable {
  /// A device that holds one of the outer machine's files.
  public struct File: Sendable, Equatable {
    /// The block device.
    public let path: String
    /// The file's exact length; the device is padded to whole sectors.
    public let byteCount: UInt64
  }
  /// `SoftwareMachine.Configuration.orders`, unchanged.
  public let configuration: [UInt8]
  /// The files, in the outer order.
  public let files: [File]

  static let diskFolder = "/dev"

  /// The disks are on ascending slots of the bus, so their names are in the order of the files.
  init(configuration: [UInt8], fileSizes: [UInt64]) {
    self.configuration = configuration
    files = fileSizes.enumerated().map { index, size in
      File(path: Self.disk(index), byteCount: size)
    }
  }

  static func disk(_ index: Int) -> String {
    "/dev/vd" + String(UnicodeScalar(UInt8(ascii: "a") + UInt8(clamping: index)))
  }
}
