import Foundation
import Testing
import WarmstartTestSupport

@testable import WarmstartClient

/// The error for a refused user names the same groups as the units.
@Suite struct SocketPathTests {
  @Test(arguments: ["warmstartd.socket", "warmstart-admin.socket"])
  func `the client knows which group each unit lets connect`(unit: String) throws {
    let text = try String(contentsOfFile: Golden.path("../../../systemd/\(unit)"), encoding: .utf8)
    func value(_ key: String) -> String? {
      text.split(separator: "\n").first { $0.hasPrefix("\(key)=") }
        .map { String($0.dropFirst(key.utf8.count + 1)) }
    }
    let path = try #require(value("ListenStream"))
    #expect(SocketPath.group(of: path) == value("SocketGroup"))
    #expect(SocketPath.group(of: path) != nil)
  }

  @Test func `the client names no group for other sockets`() {
    #expect(SocketPath.group(of: "/tmp/s") == nil)
  }
}
