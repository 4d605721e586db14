// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of time synchronization: turns each message into the host's time of this moment.
public struct TimeSynchronizationClient: Sendable {
  /// 1970-01-01 in 100 ns units since 1601: nothing earlier can be a kernel's time.
  public static let earliest: UInt64 = 116_444_736_000_000_000
  /// The last second that fits 63 bits of nanoseconds since 1970 (year 2262).
  public static let latest: UInt64 = earliest &+ 92_233_720_360_000_000

  /// A sample that is older than 600 s, in 100 ns, says nothing any more: the host sends one every few seconds.
  public static let longestAge: UInt64 = 6_000_000_000

  /// The newest sample, good for a PTP clock.
  public struct Sample: Hashable, Sendable {
    /// 100 ns units since 1601-01-01 UTC, at `referenceTime`.
    public var hostTime: UInt64
    public var referenceTime: UInt64
  }

  public private(set) var link: ServiceLink
  public private(set) var sample: Sample?
  private var mustSet = false

  public init(link: ServiceLink = ServiceLink(.timeSynchronization)) {
    self.link = link
  }

  public mutating func channelOpened() {
    link.reset()
    sample = nil
    mustSet = false
  }

  /// Turns the packet into its answer. `referenceTime` is TIME_REF_COUNT now. Then look at `takeSetting(_:)`.
  @_lifetime(packet: copy packet)
  public mutating func receive(
    _ packet: inout MutableRawSpan, referenceTime: UInt64
  ) throws(ClientFault) -> ClientAnswer {
    guard case .request(let header) = try link.receive(&packet) else { return .send }
    do throws(ClientFault) {
      try take(header, packet.bytes, referenceTime)
    } catch {
      link.countFault()
      throw error
    }
    try ServiceLink.answer(header, status: .ok, in: &packet)
    return .send
  }

  /// The host's time for the clock to be set to, when the host asked for it; once.
  public mutating func takeSetting(referenceTime: UInt64) -> UInt64? {
    guard mustSet, let sample else { return nil }
    mustSet = false
    return Self.hostTime(of: sample, at: referenceTime)
  }

  /// The host's time at `referenceTime`, for the PTP clock; nil without a sample or when it leaves the calendar.
  public func hostTime(at referenceTime: UInt64) -> UInt64? {
    guard let sample else { return nil }
    return Self.hostTime(of: sample, at: referenceTime)
  }

  /// Whether there is no sample, or only one that is too old to be trusted.
  public func isStale(at referenceTime: UInt64) -> Bool {
    guard let sample else { return true }
    return referenceTime >= sample.referenceTime && referenceTime &- sample.referenceTime > Self.longestAge
  }

  private mutating func take(
    _ header: IntegrationHeader, _ packet: RawSpan, _ now: UInt64
  ) throws(ClientFault) {
    let new: Sample
    let flags: TimeFlags
    do throws(WireError) {
      let body = try packet.slice(at: IntegrationHeader.wireSize, count: Int(header.bodySize))
      if let version = link.message, version >= ServiceVersion(4, 0) {
        let message = try ReferenceTimeMessage(decoding: body)
        new = Sample(hostTime: message.hostTime, referenceTime: message.referenceTime)
        flags = message.flags
      } else {
        let message = try TimeMessage(decoding: body)
        new = Sample(hostTime: message.hostTime, referenceTime: now)
        flags = message.flags
      }
    } catch {
      throw ClientFault(error)
    }
    guard Self.hostTime(of: new, at: now) != nil else { throw .badBody }
    sample = new
    if flags.contains(.synchronize) { mustSet = true }
  }

  private static func hostTime(of sample: Sample, at now: UInt64) -> UInt64? {
    guard sample.hostTime >= earliest, sample.hostTime <= latest else { return nil }
    let time: (partialValue: UInt64, overflow: Bool) =
      now >= sample.referenceTime
      ? sample.hostTime.addingReportingOverflow(now &- sample.referenceTime)
      : sample.hostTime.subtractingReportingOverflow(sample.referenceTime &- now)
    guard !time.overflow, time.partialValue >= earliest, time.partialValue <= latest else { return nil }
    return time.partialValue
  }
}
