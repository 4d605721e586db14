// SPDX-License-Identifier: Apache-2.0

/// How many letters must be changed, added, dropped or swapped with their neighbour to turn one word into the other.
enum EditDistance {
  /// Words longer than any key of ours are far from all of them.
  private static let longest = 40

  static func between(_ left: String, _ right: String) -> Int {
    let left = Array(left.utf8.prefix(longest))
    let right = Array(right.utf8.prefix(longest))
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, leftByte) in left.enumerated() {
      var next = [row + 1]
      for (column, rightByte) in right.enumerated() {
        var best = min(next[column] + 1, last[column + 1] + 1, last[column] + (leftByte == rightByte ? 0 : 1))
        if row > 0, column > 0, leftByte == right[column - 1], left[row - 1] == rightByte {
          best = min(best, beforeLast[column - 1] + 1)
        }
        next.append(best)
      }
      beforeLast = last
      last = next
    }
    return last.last ?? 0
  }
}
