// SPDX-License-Identifier: Apache-2.0

/// Why the server did not do what a guest's message asked for. Each names what the guest is told.
public enum BusRefusal: UInt8, CaseIterable, Sendable {
  // The message itself. Dropped: the hypercall succeeds, as on Hyper-V, where the bus driver sees it only later.
  /// Shorter than the header.
  case noHeader
  /// A number that no version up to 5.3 knows.
  case unknownType
  /// A message that only the host may send.
  case hostMessage
  /// Fields missing or impossible.
  case malformed

  // The hypercall, answered by its status.
  /// More than 240 bytes: invalid parameter.
  case tooLong
  /// No port of ours, or not the one that this connection uses: invalid connection id.
  case wrongConnection
  /// The guest doesn't take its messages: insufficient buffers.
  case queueFull

  // The connection.
  /// Anything but a contact before the contact. Dropped; unload is answered.
  case notConnected
  /// A contact at a version that we do not speak, or above the cap. Answered "not supported".
  case unsupportedVersion
  /// A contact that names an absent processor, another interrupt than 2 or a trust level. Answered with a failure.
  case unusableTarget
  /// A second request for offers on one connection. Dropped.
  case offersRequestedTwice
  /// A message newer than the version agreed on. Dropped.
  case notInVersion

  // Channels.
  /// A number that is offered to nobody, or not yet to this guest. An opening is answered "not found".
  case unknownChannel
  /// An opening, a modification after the rescind. Answered with a failure.
  case channelRescinded
  /// An opening of a channel that is open or opening. Answered with a failure.
  case channelAlreadyOpen
  /// A close or a modification of a channel that is not open. A modification is answered with a failure.
  case channelNotOpen
  /// A release without a rescind. Dropped.
  case channelNotRescinded
  /// A target that is no processor of this machine. Answered with a failure.
  case absentProcessor
  /// An opening whose ring GPADL is unknown, unfinished or another channel's. Answered with a failure.
  case noRingGPADL
  /// An opening whose ring GPADL is in several ranges or does not begin and end at page boundaries.
  case ringNotPages
  /// An opening whose host→guest ring begins outside the GPADL or leaves one ring fewer than two pages.
  case ringOffset
  /// A reserved channel. Dropped, or answered when closed.
  case reservedChannel
  /// A socket without a listener. Answered "connection refused".
  case noSocket

  // GPADLs.
  /// A body or a teardown that names no GPADL. A teardown is answered: there is nothing left to hold the guest for.
  case unknownGPADL
  /// A header that names a GPADL which exists. Answered with a failure; the existing one stays.
  case gpadlExists
  /// A teardown that names another channel's GPADL. Dropped: it is not torn down.
  case gpadlOfOtherChannel
  /// A body for a GPADL that is complete. Dropped.
  case gpadlComplete
  /// No range, a byte count of 0, an offset past the first page, frames that do not fit the counts.
  case gpadlRanges
  /// A page frame that is not guest memory.
  case gpadlOutsideMemory
  /// More GPADLs, or more pages in all of them, than the server keeps. Answered "insufficient resources".
  case gpadlLimit
  /// A teardown of the ring of an open channel. The channel is closed first, then it is answered.
  case gpadlInUse
}
