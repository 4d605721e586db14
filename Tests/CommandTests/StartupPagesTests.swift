// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import lis

@Suite struct StartupPagesTests {
  @Test func onlyTextOfFilesIsReleased() {
    let text = "55d0c0a00000-55d0c2f9e000 r-xp 00200000 fe:00 1835                 /usr/bin/lis\n"
    #expect(StartupPages.textRange(text) == 0x55d0_c0a0_0000..<0x55d0_c2f9_e000)
    for line in [
      "55d0c2f9e000-55d0c31a0000 r--p 02800000 fe:00 1835                 /usr/bin/lis\n",
      "55d0c31a0000-55d0c31b0000 rw-p 02a00000 fe:00 1835                 /usr/bin/lis\n",
      "7ffd5c5f2000-7ffd5c5f4000 r-xp 00000000 00:00 0                    [vdso]\n",
      "7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n", "", "\n", "x-y r-xp 0 0 0 /x",
    ] {
      #expect(StartupPages.textRange(line) == nil, "\(line)")
    }
  }

  @Test func theProgramGoesOnAfterwards() {
    StartupPages.release()
    #expect([3, 1, 2].sorted() == [1, 2, 3])
  }
}
