// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// What a drive makes of a command.
enum ATAPlan: Equatable, Sendable {
  /// Over at once, with an interrupt.
  case done
  /// Over at once, with these bits in the error register.
  case fail(UInt8)
  /// Data for the guest, by PIO.
  case reply([UInt8])
  case transfer(SectorTransfer)
  /// One request without data.
  case drive(DriveRequest)
  /// That many bytes of a list of sectors to forget come from the guest, by DMA.
  case trim(listBytes: Int)
  /// A packet of 12 bytes comes from the guest.
  case packet
  /// Reset: no interrupt, the signature in the registers.
  case reset
}
