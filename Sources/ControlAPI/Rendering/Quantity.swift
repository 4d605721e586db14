// SPDX-License-Identifier: Apache-2.0

/// Figures as people read them.
public enum Quantity {
  /// `512 MiB`, `1.5 GiB`, `17 B`.
  public static func bytes(_ count: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    var shift: UInt64 = 0
    while unit + 1 < units.count, count >> shift >= 1024 {
      unit += 1
      shift += 10
    }
    guard unit > 0 else { return "\(count) B" }
    let tenths = (Double(count) / Double(UInt64(1) << shift) * 10).rounded(.down)
    let whole = UInt64(tenths) / 10
    let rest = UInt64(tenths) % 10
    return rest == 0 ? "\(whole) \(units[unit])" : "\(whole).\(rest) \(units[unit])"
  }

  /// `5 s`, `2 min 5 s`, `1 h 2 min`, `3 d 4 h`.
  public static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "?" }
    let total = Int(seconds)
    let (days, hours, minutes) = (total / 86_400, total / 3600 % 24, total / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    if hours > 0 { return "\(hours) h \(minutes) min" }
    if minutes > 0 { return "\(minutes) min \(total % 60) s" }
    return "\(total) s"
  }
}
