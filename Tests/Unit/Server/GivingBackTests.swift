import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// What a connection releases before it ends.
@Suite(.serialized, .descriptorsBalanced) struct GivingBackTests {
  @Test func `files of a closed checkpoint are closed at once`() throws {
    var limits = Limits()
    // Five of one user.
    limits.descriptors = 6
    let daemon = try ServedDaemon(limits)
    let passed = try PassedFiles.golden()
    let peer = try daemon.connect()
    for _ in 0..<5 {
      let handle = try peer.handle(passed)
      #expect(try peer.close(handle).status == nil)
    }
    let accounts = daemon.daemon.store.accounts
    for _ in 0..<5000 where accounts.amount(of: .descriptors) > 0 { Thread.sleep(milliseconds: 1) }
    #expect(accounts.amount(of: .descriptors) == 0)
  }

  /// The process's own memory, in KiB.
  private static func ownMemory() throws -> Int {
    let status = try #require(try File(opening: "/proc/self/status").readAll(limit: 1 << 16))
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("RssAnon:") }
    return try #require(
      line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }
    )
  }

  @Test func `idle connections keep no receive buffers`() async throws {
    // A sanitizer keeps freed memory.
    if ProcessMemory.isSanitized { return }
    await #expect(processExitsWith: .success) {
      let daemon = try ServedDaemon()
      let padding = [UInt8](repeating: 1, count: 256 << 10)
      let frame = RawMessage().adding(1, 1).adding(2, Method.hello.rawValue).adding(99, padding)
        .frame()
      let peers = try (0..<256).map { _ in try daemon.connect() }
      for peer in peers { _ = try peer.status() }
      let before = try GivingBackTests.ownMemory()
      for peer in peers {
        try peer.send(frame)
        #expect(try peer.answer().status == nil)
      }
      for peer in peers { _ = try peer.status() }
      let grown = try GivingBackTests.ownMemory() - before
      // 256 buffers of 32 KiB at most and the allocator's spare memory, not 256 of 256 KiB.
      #expect(grown < 32 << 10, "\(grown) KiB")
      print("grown \(grown) KiB")
    }
  }
}
