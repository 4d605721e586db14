// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Ends the fuzzer, which keeps the input. The words are printed here: an optimised build drops those of a precondition.
func violated(_ problem: String) -> Never {
  var line = "violated: \(problem)\n"
  line.withUTF8 { line in _ = unsafe write(STDERR_FILENO, line.baseAddress, line.count) }
  fatalError()
}
