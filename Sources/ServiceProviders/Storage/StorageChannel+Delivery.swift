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
      do throws(RingError) {
        try writer.write(
          type: answer.type, completionRequested: false, transactionID: answer.transactionID, payload: answer.bytes)
        removeAnswer()
      } catch {
        guard case .full(let needed) = error else { throw error }
        delivery.signal = writer.commit() || delivery.signal
        if !writer.requestSpace(needed) {
          countBlocked()
          delivery.isBlocked = true
          return delivery
        }
      }
    }
    delivery.signal = writer.commit() || delivery.signal
    return delivery
  }
}
