import Foundation
import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// The protocol page agrees with the code, as far as a test can check.
@Suite struct ProtocolPageTests {
  @Test func `the page lists every reason with its code`() throws {
    let sources = Golden.repository
    let page = try String(
      contentsOf: sources.appending(path: "Sources/Server/Server.docc/Protocol.md"),
      encoding: .utf8)
    for reason in Reason.known {
      let row = "| `\(reason.rawValue)` | \(reason.code.name) |"
      #expect(page.contains(row), "the page lacks \(row)")
    }
  }
}
