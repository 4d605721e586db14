// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What has become of a packet.
public enum NetworkArrival: Sendable {
  /// Frames to be sent: `NetworkChannel.nextFrame` until there are no more, then `complete`.
  case frames(TransmitBatch)
  /// For the provider.
  case control(NetworkControl)
  /// Nothing to do; an answer may wait to be delivered, and `takeRoom` may have changed its mind.
  case settled
}

/// What a packet is about that does not bring frames: to be given to `NetworkProvider.receive`.
public struct NetworkControl: Sendable {
  enum Demand: Sendable {
    case message(NVSPMessage)
    /// An RNDIS message, not looked at yet. Its packet has been answered.
    case rndis([UInt8])
  }

  let opening: UInt16
  /// nil: no answer is wanted.
  let transactionID: UInt64?
  let demand: Demand
}
