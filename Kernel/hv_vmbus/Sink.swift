// SPDX-License-Identifier: Apache-2.0

import CVMBus
import KernelSupport
import VMBus
import VMBusGuest

/// What the machine asks of the kernel: hypercalls, and words to the channels' C.
@safe
struct Sink: BusClientSink {
  /// Input of the hypercall; used under the bus's lock only.
  let page: UnsafeMutableRawPointer

  /// The host is asked again while it says "later": first at once, at the end every quarter of a second, some twenty
  /// seconds in all.
  mutating func post(_ payload: borrowing MessageBuffer, to connection: ConnectionID) -> HypercallStatus {
    let input = PostMessageInput(connection: connection, payload: copy payload)
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: page, count: PostMessageInput.wireSize)
    var bytes = unsafe buffer.mutableBytes
    do throws(WireError) { try input.encode(into: &bytes) } catch { return .invalidParameter }
    // A contact on a port that isn't there is an answer; any other message must find its port some time.
    let isContact = (try? payload.bytes.read(UInt32.self, at: 0)) == MessageType.initiateContact.rawValue
    var wait: UInt32 = 1
    var tries = 0
    while true {
      let status = unsafe HypercallStatus(rawValue: vb_post(page))
      let again = status.isTransient || (status == .invalidConnectionID && !isContact)
      tries &+= 1
      guard again, tries < 100 else { return status }
      if tries > 4 {
        KernelTime.sleep(milliseconds: wait)
        if wait < 256 { wait = wait &* 2 }
      } else {
        KernelTime.delay(microseconds: 50)
      }
    }
  }

  mutating func handle(_ event: BusClientEvent) {
    switch event {
    case .connected(let version): vb_connected(version.rawValue)
    case .connectFailed(let error): vb_connect_failed(error.errorNumber)
    case .offered(let offer): offered(offer)
    case .offersDelivered: vb_offers_delivered()
    case .opened(let channel, let status): vb_answered(channel.rawValue, UInt32(VB_OPENED), status.rawValue)
    case .gpadlCreated(_, let channel, let status):
      vb_answered(channel.rawValue, UInt32(VB_GPADL_CREATED), status.rawValue)
    case .gpadlTornDown(_, let channel): vb_answered(channel.rawValue, UInt32(VB_GPADL_TORN_DOWN), 0)
    case .modified(let channel, let status): vb_answered(channel.rawValue, UInt32(VB_MODIFIED), status.rawValue)
    case .rescinded(let channel): vb_rescinded(channel.rawValue)
    case .unloaded: vb_unloaded()
    // Whoever connects a socket has a time limit.
    case .socketRefused: break
    case .refused(let refusal):
      var line = LogLine("the host sent a message out of turn, reason ")
      line.decimal(UInt32(refusal.rawValue))
      line.emitLimited()
    }
  }

  private func offered(_ offer: Offer) {
    var record = vb_offer()
    unsafe withUnsafeMutableBytes(of: &record) { target in
      // The GUIDs and the user data stand first, as they come on the wire.
      var bytes = unsafe target.mutableBytes
      try? offer.classID.encode(into: &bytes, at: 0)
      try? offer.instanceID.encode(into: &bytes, at: 16)
      try? offer.userData.encode(into: &bytes, at: 32)
    }
    record.relid = offer.channel.rawValue
    record.connection = offer.connection.rawValue
    record.flags = offer.flags.rawValue
    record.mmio_megabytes = offer.mmioMegabytes
    record.optional_mmio_megabytes = offer.optionalMMIOMegabytes
    record.sub_channel = offer.subChannelIndex
    record.monitor_id = offer.monitorID
    record.monitor_allocated = offer.monitorAllocated ? 1 : 0
    record.dedicated_interrupt = offer.hasDedicatedInterrupt ? 1 : 0
    unsafe vb_offered(&record)
  }
}
