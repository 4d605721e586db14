// SPDX-License-Identifier: Apache-2.0

/// The PC's battery-backed clock (MC146818), as far as telling the time in UTC goes: so the guest's clock is right from
/// the first second on, before any service runs. It never says "update in progress", hence costs no waiting. Writing the
/// time is accepted and forgotten: the host's clock is the truth.
struct RealTimeClock: Sendable {
  static let centuryRegister: UInt8 = 0x32

  private var index: UInt8 = 0
  /// Alarm registers and memory: kept for the guest, without effect.
  private var memory = InlineArray<128, UInt8>(repeating: 0)

  init() {}

  mutating func select(_ value: UInt8) { index = value & 0x7F }

  mutating func write(_ value: UInt8) { memory[Int(index)] = value }

  /// `seconds` since 1970 UTC.
  func read(at seconds: Int64) -> UInt8 {
    let time = CivilTime(seconds: seconds)
    return switch index {
    case 0x00: Self.decimal(time.second)
    case 0x02: Self.decimal(time.minute)
    case 0x04: Self.decimal(time.hour)
    case 0x06: UInt8(time.weekday + 1)
    case 0x07: Self.decimal(time.day)
    case 0x08: Self.decimal(time.month)
    case 0x09: Self.decimal(time.year % 100)
    case 0x0A: 0x26  // 32768 Hz, no update in progress
    case 0x0B: memory[0x0B] & ~0x84 | 0x02  // BCD, 24 hours
    case 0x0C: 0  // no interrupt
    case 0x0D: 0x80  // the battery is good
    case Self.centuryRegister: Self.decimal(time.year / 100)
    default: memory[Int(index)]
    }
  }

  private static func decimal(_ value: Int) -> UInt8 { UInt8(truncatingIfNeeded: (value / 10) << 4 | value % 10) }
}

/// A date and time of day in UTC.
struct CivilTime: Equatable, Sendable {
  var year: Int
  var month: Int
  var day: Int
  var hour: Int
  var minute: Int
  var second: Int
  /// 0 is Sunday.
  var weekday: Int

  /// From seconds since 1970, proleptic Gregorian calendar; times before that count as 1970.
  init(seconds: Int64) {
    let time = Int(clamping: max(seconds, 0))
    let days = time / 86400
    let rest = time % 86400
    hour = rest / 3600
    minute = rest / 60 % 60
    second = rest % 60
    weekday = (days + 4) % 7
    // Years that begin in March have their leap day at the end; 719468 days lie between 0000-03-01 and 1970-01-01.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }
}
