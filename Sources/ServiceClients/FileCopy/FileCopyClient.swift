// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of file copy: checks that fragments follow each other within the announced size, and hands each step
/// to whoever writes files.
///
/// The packet stays with the shell. `receive` says `.later` and `request` tells what to do; texts and data are read out of
/// the packet at the given offsets; `answer` turns the packet into its answer. After a step that failed, and when the
/// channel is closed, the shell removes what it has: no part of a file stays under its final name.
public struct FileCopyClient: Sendable {
  public enum Request: Hashable, Sendable {
    /// Make the file. Name and folder are UTF-16 of at most 520 bytes at these offsets of the packet.
    case start(nameOffset: Int, folderOffset: Int, flags: FileCopyFlags, size: UInt64)
    /// Write `count` bytes from `dataOffset` of the packet to `offset` of the file.
    case write(offset: UInt64, count: Int, dataOffset: Int)
    /// All bytes are there: give the file its final form.
    case complete
    /// Remove what is there of it.
    case cancel
  }

  public private(set) var link: ServiceLink
  public private(set) var request: Request?
  private var outstanding: IntegrationHeader?
  /// The copy under way: its size, and the offset that the next fragment must have.
  private var size: UInt64?
  private var next: UInt64 = 0

  public init(link: ServiceLink = ServiceLink(.fileCopy)) {
    self.link = link
  }

  /// A file is begun and not complete.
  public var isCopying: Bool { size != nil }

  public mutating func channelOpened() {
    link.reset()
    request = nil
    outstanding = nil
    size = nil
    next = 0
  }

  @_lifetime(packet: copy packet)
  public mutating func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> ClientAnswer {
    guard outstanding == nil else {
      link.countFault()
      throw .busy
    }
    guard case .request(let header) = try link.receive(&packet) else { return .send }
    do throws(WireError) {
      request = try decode(packet.bytes, header)
    } catch {
      // Answered, so that the host need not wait.
      link.countFault()
      try ServiceLink.answer(header, status: .invalidArgument, in: &packet)
      return .send
    }
    guard request != nil else {
      // A step that does not belong here: no copy under way, or not all bytes there.
      link.countFault()
      try ServiceLink.answer(header, status: .failure, in: &packet)
      return .send
    }
    outstanding = header
    return .later
  }

  /// Answers the step that is being worked on.
  @_lifetime(packet: copy packet)
  public mutating func answer(_ status: IntegrationStatus, in packet: inout MutableRawSpan) throws(ClientFault) {
    guard let header = outstanding, let request else { throw .notOutstanding }
    outstanding = nil
    self.request = nil
    switch request {
    case .start(_, _, _, let size):
      self.size = status == .ok ? size : nil
      next = 0
    case .write(let offset, let count, _):
      if status == .ok { next = offset &+ UInt64(count) }
    case .complete, .cancel:
      size = nil
    }
    try ServiceLink.answer(header, status: status, in: &packet)
  }

  private func decode(_ packet: RawSpan, _ header: IntegrationHeader) throws(WireError) -> Request? {
    let start = IntegrationHeader.wireSize
    let body = try packet.slice(at: start, count: Int(header.bodySize))
    switch try FileCopyHeader(decoding: body).operation {
    case .start:
      let message = try FileCopyStart(decoding: body)
      // A size that no file can have.
      guard message.size <= UInt64(Int64.max) else { throw .invalid(offset: 1080) }
      guard try Self.isFileName(body) else { throw .invalid(offset: FileCopyStart.nameOffset) }
      guard try Self.isPlainPath(body) else { throw .invalid(offset: FileCopyStart.folderOffset) }
      return .start(
        nameOffset: start &+ FileCopyStart.nameOffset, folderOffset: start &+ FileCopyStart.folderOffset,
        flags: message.flags, size: message.size)
    case .write:
      let message = try FileCopyWrite(decoding: body)
      guard let size, message.offset == next, UInt64(message.count) <= size &- next else { return nil }
      return .write(offset: message.offset, count: Int(message.count), dataOffset: start &+ FileCopyWrite.dataOffset)
    case .complete: return size == next ? .complete : nil
    case .cancel: return .cancel
    default: throw .invalid(offset: 0)
    }
  }

  private static var slash: UInt16 { 0x2F }
  private static var dot: UInt16 { 0x2E }

  /// Not empty, terminated, and without a slash. "." is left to the file system: the host asks for "/." to see whether
  /// somebody is there, and must hear that it exists.
  private static func isFileName(_ body: RawSpan) throws(WireError) -> Bool {
    var length = 0
    while length < FileCopyStart.textUnits {
      let unit = try body.read(UInt16.self, at: FileCopyStart.nameOffset &+ 2 &* length)
      if unit == 0 { return length > 0 }
      if unit == slash { return false }
      length &+= 1
    }
    return false
  }

  /// Absolute, terminated, and without a ".." that leads out of what it names.
  private static func isPlainPath(_ body: RawSpan) throws(WireError) -> Bool {
    guard try body.read(UInt16.self, at: FileCopyStart.folderOffset) == slash else { return false }
    var dots = 0
    var length = 0
    for index in 1..<FileCopyStart.textUnits {
      let unit = try body.read(UInt16.self, at: FileCopyStart.folderOffset &+ 2 &* index)
      if unit == slash || unit == 0 {
        if dots == 2, length == 2 { return false }
        if unit == 0 { return true }
        dots = 0
        length = 0
      } else {
        length &+= 1
        if unit == dot { dots &+= 1 }
      }
    }
    return false
  }
}
