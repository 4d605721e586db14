// SPDX-License-Identifier: Apache-2.0

public import VirtualDisks

/// What the controller asks its owner to do. It ends with `LegacyBoard.complete`, in whatever order.
public struct IDERequest: Sendable, Equatable {
  public enum Work: Sendable, Equatable {
    /// A request without data: flush, discard, verify.
    case drive(DriveRequest)
    /// Read, and complete with the bytes.
    case read(DriveRequest)
    case write(DriveRequest, [UInt8])
    /// A read or write between the drive and guest memory, which the table at that address describes.
    case direct(DriveRequest, table: UInt32)
    /// Copy bytes into guest memory.
    case toGuest([UInt8], table: UInt32)
    /// Copy bytes out of guest memory, and complete with them.
    case fromGuest(Int, table: UInt32)
  }

  /// Never used twice on one controller.
  public var number: UInt64
  public var position: IDEPosition
  public var work: Work
}

/// How a request ended.
public enum IDEOutcome: Sendable, Equatable {
  /// `bytes` as the work says. `tableHasMore`: the table describes more memory than was needed.
  case done(_ bytes: [UInt8] = [], tableHasMore: Bool = false)
  case failed(DriveFailure, at: UInt64? = nil)
  /// Nothing was moved.
  case table(DescriptorTable.Fault)
}

public enum IDEEffect: Sendable, Equatable {
  case start(IDERequest)
  /// The channel's interrupt line (IRQ 14 or 15) changed.
  case interrupt(channel: Int, Bool)
  /// The guest put the disc out: let go of its image.
  case ejected(IDEPosition)
  /// The bus master ports are somewhere else now (16 of them), or nowhere.
  case busMasterPorts(UInt16?)
  /// The guest has written to the configuration of a function that somebody else owns.
  case configured(PCIAddress, PCIConfigurationSpace)
}
