// SPDX-License-Identifier: Apache-2.0

import CKernel
import CNetvsc
import DeviceProtocols
import ServiceClients
import VMBus

/// The receive buffer, 16 MiB say, as this end sees it. The host writes it at any time.
@safe struct ReceiveBuffer: NetworkReceiveBuffer {
  let base: UnsafeRawPointer

  func copy(at offset: UInt32, into bytes: inout MutableRawSpan) {
    let count = bytes.byteCount
    unsafe bytes.withUnsafeMutableBytes { target in
      if let to = target.baseAddress { unsafe to.copyMemory(from: base + Int(offset), byteCount: count) }
    }
  }
}

/// What concerns all channels of an adapter: the client, and the page for its messages. Used under `lock`, which may be
/// held when a channel's lock is taken, never the other way round.
@safe struct Adapter: ~Copyable {
  let port: OpaquePointer
  let lock: OpaquePointer
  let page: UnsafeMutableRawPointer
  let pageFrame: UInt64
  let receiveBuffer: ReceiveBuffer
  let sendBuffer: UnsafeMutableRawPointer
  let facts: UnsafeMutablePointer<nv_facts>
  var client: NetworkClient
  var primary: UnsafeMutablePointer<Transmitter>?
  /// A message for which the ring had no room.
  private var stalled: NetworkClientPacket?

  init(_ start: UnsafePointer<nv_start>, _ client: NetworkClient, lock: OpaquePointer) {
    unsafe port = start.pointee.port
    unsafe self.lock = lock
    unsafe page = UnsafeMutableRawPointer(start.pointee.page)
    unsafe pageFrame = start.pointee.page_frame
    unsafe receiveBuffer = ReceiveBuffer(base: UnsafeRawPointer(start.pointee.receive_buffer))
    unsafe sendBuffer = UnsafeMutableRawPointer(start.pointee.send_buffer)
    unsafe facts = start.pointee.facts
    self.client = client
  }

  deinit { unsafe ks_lock_free(lock) }

  /// Sends what the client has to send.
  mutating func pump() {
    guard let primary = unsafe primary else { return }
    while true {
      if stalled == nil {
        let buffer = unsafe UnsafeMutableRawBufferPointer(start: page, count: 4096)
        var span = unsafe buffer.mutableBytes
        stalled = client.nextPacket(page: &span)
      }
      guard let packet = stalled, unsafe primary.pointee.send(packet, page: pageFrame) else { return }
      stalled = nil
    }
  }

  // MARK: From the host

  mutating func receive(completion payload: RawSpan, transactionID: UInt64) {
    do throws(NetworkClientFault) {
      handle(try client.receive(completion: payload, transactionID: transactionID))
    } catch {
      fault("the host completes what was not asked")
    }
    pump()
  }

  mutating func receive(notice payload: RawSpan) {
    do throws(NetworkClientFault) {
      handle(try client.receive(notice: payload))
    } catch {
      fault("the host's news make no sense")
    }
  }

  mutating func receive(control message: RawSpan) {
    do throws(NetworkClientFault) {
      handle(try client.receive(control: message))
    } catch {
      fault("the host answers what was not asked")
    }
    pump()
  }

  private func fault(_ text: StaticString) {
    unsafe facts.pointee.faults &+= 1
    if unsafe facts.pointee.faults == 1 { note(text) }
  }

  private func note(_ text: StaticString, _ value: UInt64 = 0) {
    unsafe nv_note(port, text.utf8Start, text.utf8CodeUnitCount, value)
  }

  private func happened(_ event: Int) { unsafe nv_happened(port, UInt32(truncatingIfNeeded: event)) }

  private mutating func handle(_ event: NetworkClient.Event?) {
    guard let event else { return }
    switch event {
    case .ready:
      publish()
      happened(NV_READY)
    case .failed(let fault):
      note(Self.text(fault), unsafe facts.pointee.faults)
      happened(NV_FAILED)
    case .linkChanged:
      unsafe facts.pointee.link_up = client.isLinkUp ? 1 : 0
      happened(NV_LINK)
    case .networkChanged: happened(NV_NETWORK)
    case .speedChanged:
      unsafe facts.pointee.link_speed = client.linkSpeed
      happened(NV_SPEED)
    case .sendTable(let table):
      for index in 0..<NetworkAdapter.sendTableCount {
        unsafe nv_send_table(port, UInt32(truncatingIfNeeded: index), table.channels[index])
      }
    case .filterSet: happened(NV_FILTER_SET)
    case .scalingSet: happened(NV_SCALING_SET)
    case .offloadsSet: happened(NV_OFFLOADS_SET)
    case .addressSet(let isSet): happened(isSet ? NV_ADDRESS_SET : NV_ADDRESS_REFUSED)
    case .halted: happened(NV_HALTED)
    }
  }

  private static func text(_ fault: NetworkClientFault) -> StaticString {
    switch fault {
    case .noVersion: "the host speaks no version of ours"
    case .badBuffer: "the host divides a buffer so that it does not fit"
    case .refused: "the host refuses what cannot be done without"
    default: "the host's answer makes no sense"
    }
  }

  private func publish() {
    unsafe facts.pointee.version = client.version.rawValue
    unsafe facts.pointee.mtu = client.mtu
    let address = client.address.rawValue
    unsafe facts.pointee.address = (
      UInt8(truncatingIfNeeded: address &>> 40), UInt8(truncatingIfNeeded: address &>> 32),
      UInt8(truncatingIfNeeded: address &>> 24), UInt8(truncatingIfNeeded: address &>> 16),
      UInt8(truncatingIfNeeded: address &>> 8), UInt8(truncatingIfNeeded: address)
    )
    unsafe facts.pointee.checksums = client.offloads.transmitChecksums ? 1 : 0
    unsafe facts.pointee.receive_checksums = client.offloads.receiveChecksums ? 1 : 0
    unsafe facts.pointee.large_send_ipv4 = client.offloads.largeSendIPv4
    unsafe facts.pointee.large_send_ipv6 = client.offloads.largeSendIPv6
    unsafe facts.pointee.coalescing = client.offloads.receiveCoalescing ? 1 : 0
    unsafe facts.pointee.link_up = client.isLinkUp ? 1 : 0
    unsafe facts.pointee.sub_channels = client.subChannels
    unsafe facts.pointee.table_entries = client.scalingEntries
    unsafe facts.pointee.receive_sections = client.receiveSection.count
    unsafe facts.pointee.receive_section_size = client.receiveSection.byteCount
    unsafe facts.pointee.send_sections = client.sendSections
    unsafe facts.pointee.send_section_size = client.sendSectionSize
    unsafe facts.pointee.link_speed = client.linkSpeed
  }
}
