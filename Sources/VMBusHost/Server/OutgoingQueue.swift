// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Messages on their way to the guest, oldest first. Offers and rescinds are the host's doing and bounded by the number
/// of channels; everything else is an answer to the guest, who is refused further questions at `BusServerLimits.replies`.
struct OutgoingQueue: Sendable {
  private var messages: [OutgoingMessage] = []
  /// How many at the start of `messages` have been taken.
  private var taken = 0
  private(set) var replyCount = 0

  var first: OutgoingMessage? { taken < messages.count ? messages[taken] : nil }
  var count: Int { messages.count - taken }
  var pending: ArraySlice<OutgoingMessage> { messages[taken...] }

  mutating func append(_ message: HostMessage, to targetVP: VPIndex) {
    if message.isReply { replyCount += 1 }
    messages.append(OutgoingMessage(targetVP: targetVP, message: message))
  }

  mutating func removeFirst() {
    guard let message = first else { return }
    if message.message.isReply { replyCount -= 1 }
    taken += 1
    // Moving the rest costs as much as was taken since the last time: constant per message.
    if taken == messages.count {
      messages.removeAll(keepingCapacity: taken <= 64)
      taken = 0
    } else if taken >= 64 && taken * 2 >= messages.count {
      messages.removeFirst(taken)
      taken = 0
    }
  }

  mutating func removeAll() {
    messages.removeAll(keepingCapacity: messages.capacity <= 64)
    taken = 0
    replyCount = 0
  }

  /// Takes the unsent offer of `channel` back; false when the guest has it.
  mutating func cancelOffer(of channel: ChannelID) -> Bool {
    for index in taken..<messages.count {
      if case .offer(let offer) = messages[index].message, offer.channel == channel {
        messages.remove(at: index)
        return true
      }
    }
    return false
  }

  mutating func cancelRescind(of channel: ChannelID) {
    for index in taken..<messages.count {
      if case .rescind(let rescind) = messages[index].message, rescind.channel == channel {
        messages.remove(at: index)
        return
      }
    }
  }
}

extension HostMessage {
  /// An answer to something that the guest did, as opposed to the host's own doing.
  var isReply: Bool {
    switch self {
    case .offer, .allOffersDelivered, .rescind: false
    case .versionResponse, .unloadResponse, .openResult, .modifyChannelResponse, .closeReservedChannelResponse,
      .gpadlCreated, .gpadlTorndown, .socketConnectResult:
      true
    }
  }
}
