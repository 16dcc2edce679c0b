import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel

/// Calls that are sent before earlier ones are answered, and peers that do not read.
@Suite(.serialized, .descriptorsBalanced) struct PipeliningTests {
  private let daemon: ServedDaemon

  init() throws {
    daemon = try ServedDaemon()
  }

  @Test func `512 calls sent before the first reply is read are all answered in order`() throws {
    let peer = try daemon.connect()
    for _ in 0..<512 { try peer.call(.status) }
    for id in 1...512 {
      let answer = try peer.answer()
      #expect(answer.id == UInt64(id))
      #expect(answer.status == nil)
    }
    peer.finishWriting()
    #expect(daemon.settles())
  }

  @Test func `512 calls with files are answered, and their files counted once`() throws {
    let peer = try daemon.connect()
    let passed = try PassedFiles.golden()
    for _ in 0..<512 {
      try peer.call(.open, files: passed.files) { $0.begin(OpenRequest(passed.reference), $1) }
    }
    let statuses = try (1...512).map { _ in try peer.answer().status }
    // One connection may have this many open; further ones are refused.
    #expect(statuses.prefix(64).allSatisfy { $0 == nil })
    #expect(statuses.dropFirst(64).allSatisfy { $0?.reason == .quota })
    #expect(statuses.last??.retryMilliseconds == nil)
    peer.finishWriting()
    #expect(daemon.settles())
    #expect(daemon.daemon.store.accounts.amount(of: .filesInFlight) == 0)
    #expect(daemon.daemon.store.accounts.amount(of: .messages) == 0)
  }

  @Test func `a call's deadline also covers its wait for its turn`() throws {
    let peer = try daemon.connect()
    // More than fits the socket, so that the daemon reads ahead.
    for _ in 0..<60 { try peer.call(.describe) }
    let late = try peer.call(.status, timeout: 50)
    let early = try peer.call(.status, timeout: 60_000)
    pause(milliseconds: 300)
    var reasons: [UInt64: String] = [:]
    for _ in 0..<62 {
      let answer = try peer.answer()
      if let reason = answer.reason { reasons[answer.id] = reason }
    }
    #expect(reasons == [late: "DEADLINE"])
    #expect(early == 62)
  }

  @Test func `the daemon drops a peer that does not read when its call's time is over`() throws {
    let peer = try daemon.connect()
    for _ in 0..<60 { try peer.call(.describe, timeout: 200) }
    // Long before the daemon would drop it without a deadline.
    #expect(daemon.settles(within: 4000))
  }

  @Test func `the daemon drops a peer that never reads, and nothing stays charged`() throws {
    let peer = try daemon.connect()
    let passed = try PassedFiles.golden()
    for _ in 0..<2000 {
      let isSent = try? peer.call(.open, files: passed.files) {
        $0.begin(OpenRequest(passed.reference), $1)
      }
      if isSent == nil { break }
    }
    #expect(daemon.settles(within: 20_000))
    #expect(daemon.daemon.store.accounts.amount(of: .filesInFlight) == 0)
    #expect(daemon.daemon.store.accounts.amount(of: .messages) == 0)
  }

  // MARK: HTTP

  @Test(arguments: ["POST / HTTP/1.1\r\n", "PUT /", "PRI *", "OPTIONS * HTTP/1.1"])
  func `a client that speaks HTTP is answered in HTTP, and logged once`(_ text: String) throws {
    for _ in 0..<3 {
      let peer = try daemon.connect()
      try peer.send(Array(text.utf8))
      var files: [File] = []
      let answer = try #require(try peer.receive(9, &files, .after(milliseconds: 20_000)))
      #expect(
        text.hasPrefix("PRI")
          ? answer == [0, 0, 0, 4, 0, 0, 0, 0, 0] : answer == Array("HTTP/1.1 ".utf8))
      peer.finishWriting()
    }
    #expect(daemon.settles())
    #expect(daemon.warnings.count == 1)
    #expect(daemon.warnings.first?.contains("speaks HTTP") == true)
  }

  @Test func `the daemon drops a client that sends HTTP without an end`() throws {
    let peer = try daemon.connect()
    try peer.send(Array("GET / HTTP/1.1\r\n".utf8))
    #expect(daemon.settles(within: 10_000))
    _ = peer
  }
}
