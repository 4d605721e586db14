// SPDX-License-Identifier: Apache-2.0

import VMBus

extension StorageChannel {
  /// Writes the answers into the ring, as many as fit, and publishes them.
  ///
  /// Throws when the guest broke the ring's indices: the channel is unusable then.
  @inlinable
  public mutating func deliver<Storage: RingStorage>(
    to writer: inout RingWriter<Storage>
  ) throws(RingError) -> StorageDelivery {
    var delivery = StorageDelivery()
    var answer = StorageAnswer()
    while nextAnswer(into: &answer) {
      let isPlaced = try writer.writeOrRequestSpace(
        type: answer.type, completionRequested: false, transactionID: answer.transactionID, descriptorTail: RawSpan(),
        payload: answer.bytes, signal: &delivery.signal)
      guard isPlaced else {
        countBlocked()
        delivery.isBlocked = true
        return delivery
      }
      removeAnswer()
    }
    delivery.signal = writer.commit() || delivery.signal
    return delivery
  }
}
