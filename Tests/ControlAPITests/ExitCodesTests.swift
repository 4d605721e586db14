// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ControlAPI

/// `docs/exit-codes.md` holds exactly the codes there are.
@Suite struct ExitCodesTests {
  private func rows(_ columns: Int) throws -> [[String]] {
    let text = try String(contentsOf: OpenAPI.folder.appending(path: "docs/exit-codes.md"), encoding: .utf8)
    return text.split(separator: "\n").filter {
      $0.hasPrefix("| ") && !$0.hasPrefix("| code") && !$0.hasPrefix("| ---")
    }
    .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty } }
    .filter { $0.count == columns }
  }

  @Test func exitCodes() throws {
    #expect(try rows(2) == ExitStatus.allCases.map { ["\($0.rawValue)", $0.meaning] })
  }

  @Test func errorCodes() throws {
    let rows = try rows(3)
    #expect(rows.count == 19)
    for row in rows {
      let code = ControlError.Code(rawValue: row[0])
      #expect(row == [code.rawValue, "\(code.httpStatus)", "\(code.exitCode.rawValue)"])
    }
  }
}
