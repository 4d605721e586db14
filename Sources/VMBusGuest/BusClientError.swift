// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Why a request of our own was not made.
public enum BusClientError: Error, Equatable, Sendable {
  /// Not connected, or connected already.
  case wrongState
  /// The hypercall failed for good.
  case post(HypercallStatus)
  /// The host speaks none of our versions.
  case noCommonVersion
  /// No such channel.
  case unknownChannel
  /// The channel is rescinded, or not in the state that the request needs.
  case wrongChannelState
  /// The channel's memory is not all torn down yet.
  case gpadlsLeft
  /// No such GPADL, or not in the state that the request needs.
  case wrongGPADL
  /// All places for GPADLs are taken.
  case gpadlTableFull
  /// No pages, or more than a header can announce (8190).
  case unusablePageCount
  /// The version agreed on has no such message.
  case notInVersion
}
