// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import lis

@Suite struct TypedTextTests {
  @Test func theEscapeKeyDoesNotReachTheGuest() {
    var text = TypedText()
    let escapes = [[65, 66], [67, TypedText.escape, 68], [TypedText.escape]].map { text.append($0[...]) }
    #expect(escapes == [false, true, true])
    #expect(text.waiting == [65, 66, 67, 68])
  }

  @Test func theEscapeKeyIsSeenBehindMoreThanFits() {
    var text = TypedText()
    let escapes = (0..<300).map { _ in text.append(ArraySlice(repeating: 65, count: 4096)) }
    #expect(!escapes.contains(true))
    #expect(text.waiting.count == TypedText.limit)
    let last = text.append([66, TypedText.escape])
    #expect(last && text.waiting.count == TypedText.limit && text.waiting.last == 65)
    text.waiting.removeFirst(10)
    _ = text.append([67])
    #expect(text.waiting.last == 67)
  }
}
