// SPDX-License-Identifier: Apache-2.0

/// A model-specific register number. The ones of Hyper-V are from the Hyper-V Top Level Functional Specification.
struct MSR: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt32
  init(rawValue: UInt32) { self.rawValue = rawValue }

  static let tsc = MSR(rawValue: 0x10)
  static let apicBase = MSR(rawValue: 0x1B)
  static let mtrrDefaultType = MSR(rawValue: 0x2FF)
  static let tscDeadline = MSR(rawValue: 0x6E0)

  /// AMD's hardware configuration register.
  static let hardwareConfiguration = MSR(rawValue: 0xC001_0015)

  static let guestOSID = MSR(rawValue: 0x4000_0000)
  static let hypercall = MSR(rawValue: 0x4000_0001)
  static let vpIndex = MSR(rawValue: 0x4000_0002)
  static let reset = MSR(rawValue: 0x4000_0003)
  static let vpRuntime = MSR(rawValue: 0x4000_0010)
  static let timeReferenceCount = MSR(rawValue: 0x4000_0020)
  static let referenceTSC = MSR(rawValue: 0x4000_0021)
  static let vpAssistPage = MSR(rawValue: 0x4000_0073)
  static let synicControl = MSR(rawValue: 0x4000_0080)
  static let synicEventPage = MSR(rawValue: 0x4000_0082)
  static let synicMessagePage = MSR(rawValue: 0x4000_0083)
  static let synicEndOfMessage = MSR(rawValue: 0x4000_0084)
  static let synicInterrupt0 = MSR(rawValue: 0x4000_0090)
  static let timer0Configuration = MSR(rawValue: 0x4000_00B0)
  static let crashParameter0 = MSR(rawValue: 0x4000_0100)
  static let crashControl = MSR(rawValue: 0x4000_0105)

  static func synicInterrupt(_ number: UInt32) -> MSR { MSR(rawValue: synicInterrupt0.rawValue &+ number) }
  /// CONFIG and COUNT of the four timers alternate.
  static func timer(_ number: UInt32, count: Bool) -> MSR {
    MSR(rawValue: timer0Configuration.rawValue &+ number &* 2 &+ (count ? 1 : 0))
  }
}
