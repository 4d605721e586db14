// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

/// "5.3" in the names of test cases. The hall itself has no strings: it is compiled for the kernel too.
extension ProtocolVersion: CustomTestStringConvertible {
  public var testDescription: String { "\(major).\(minor)" }
}
