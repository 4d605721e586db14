// SPDX-License-Identifier: Apache-2.0

/// Aligned columns, two spaces apart, with a heading; nothing but the last column may be wide.
struct TextTable {
  struct Cell: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    var text: String
    var tone: TextStyle.Tone?

    init(_ text: String, _ tone: TextStyle.Tone? = nil) {
      self.text = text
      self.tone = tone
    }

    init(stringLiteral text: String) { self.init(text) }
  }

  var heading: [String]
  var rows: [[Cell]] = []

  func text(_ style: TextStyle) -> String {
    let all = [heading.map { Cell($0, .heading) }] + rows
    return Self.lines(all, style)
  }

  /// Names and values, without a heading.
  static func pairs(_ pairs: [(String, Cell)], _ style: TextStyle) -> String {
    lines(pairs.map { [Cell($0.0, .heading), $0.1] }, style)
  }

  private static func lines(_ rows: [[Cell]], _ style: TextStyle) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? PrintableText.width($0[column].text) : 0 }.max() ?? 0
    }
    var result = ""
    for row in rows {
      // No blanks at the end of a line: find the last cell that holds something.
      let last = row.lastIndex { !$0.text.isEmpty } ?? 0
      for (column, cell) in row.enumerated() where column <= last {
        result += style.paint(cell.text, cell.tone)
        if column < last {
          result += String(repeating: " ", count: widths[column] - PrintableText.width(cell.text) + 2)
        }
      }
      result += "\n"
    }
    return result
  }
}
