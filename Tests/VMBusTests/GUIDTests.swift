// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@Suite struct GUIDTests {
  @Test func textGroupsGiveWireOrder() {
    let network = GUID(0xf861_5163, 0xdf3e, 0x46c5, 0x913f, 0xf2d2_f965_ed0e)
    #expect(network.low == 0x46c5_df3e_f861_5163)
    #expect(network.high == 0x0eed_65f9_d2f2_3f91)
  }
}
