import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel

/// Long calls: their deadlines, clients that hang up meanwhile, and the daemon's end.
@Suite(.serialized, .descriptorsBalanced) struct WaitingTests {
  private let daemon: ServedDaemon
  private let slow: SlowCheckpoint

  init() throws {
    var limits = Limits()
    limits.drainMilliseconds = 3000
    daemon = try ServedDaemon(limits)
    slow = try SlowCheckpoint()
  }

  /// A connection that asks for bytes which take minutes to check.
  private func askingPeer(timeout: Int? = nil) throws -> Peer {
    let peer = try daemon.connect()
    let passed = try PassedFiles(slow.prefix)
    try peer.resolve(
      passed.reference, ["slow": .variable("v")],
      [Variable("v", dtype: .uint8, shape: [1 << 40], isInStore: false)], files: passed.files,
      timeout: timeout)
    return peer
  }

  @Test func `the deadline ends a load that takes too long`() throws {
    let start = MonotonicClock.nanoseconds()
    let answer = try askingPeer(timeout: 200).answer()
    let elapsed = MonotonicClock.nanoseconds() - start
    #expect(answer.reason == "DEADLINE")
    #expect(answer.status?.code == .deadlineExceeded)
    #expect(elapsed >= 190_000_000 && elapsed < 5_000_000_000)
  }

  @Test func `the next call works after one that missed its deadline`() throws {
    let peer = try askingPeer(timeout: 100)
    #expect(try peer.answer().reason == "DEADLINE")
    try peer.call(.hello)
    #expect(try peer.answer().status == nil)
  }

  @Test func `a call that waits for another's load has a deadline too`() throws {
    let loading = try askingPeer()
    pause(milliseconds: 100)
    let waiting = try askingPeer(timeout: 200)
    #expect(try waiting.answer().reason == "DEADLINE")
    loading.socket.shutDown(writingToo: true)
    #expect(daemon.settles(atMost: 1))
  }

  @Test func `a client that hangs up during its load frees the thread`() throws {
    let peer = try askingPeer()
    pause(milliseconds: 100)
    #expect(!daemon.settles(within: 100))
    peer.socket.shutDown(writingToo: true)
    #expect(daemon.settles(within: 5000))
  }

  @Test func `a client that hangs up while waiting for another's load frees the thread`() throws {
    let loading = try askingPeer()
    pause(milliseconds: 100)
    let waiting = try askingPeer()
    pause(milliseconds: 100)
    #expect(!daemon.settles(atMost: 1, within: 100))
    waiting.socket.shutDown(writingToo: true)
    #expect(daemon.settles(atMost: 1, within: 5000))
    loading.socket.shutDown(writingToo: true)
  }

  @Test func `a waiting call takes over a load whose loader has gone`() throws {
    let loading = try askingPeer()
    pause(milliseconds: 100)
    let waiting = try askingPeer(timeout: 1500)
    pause(milliseconds: 100)
    loading.socket.shutDown(writingToo: true)
    // The other's end neither cancelled nor answered it.
    #expect(try waiting.answer().reason == "DEADLINE")
  }

  @Test func `a busy connection does not make others wait`() throws {
    let loading = try askingPeer()
    let other = try daemon.connect()
    #expect(try other.handle(.golden()) != 0)
    loading.socket.shutDown(writingToo: true)
  }

  // MARK: Draining

  @Test func `draining ends idle connections with a status`() throws {
    let peer = try daemon.connect()
    try peer.call(.hello)
    _ = try peer.answer()
    #expect(daemon.daemon.drain())
    let last = try peer.answer()
    #expect(last.id == 0)
    #expect(last.reason == "DRAINING")
    #expect(last.status?.code == .unavailable)
    #expect(try peer.next() == nil)
  }

  @Test func `a draining daemon refuses new connections with a status`() throws {
    #expect(daemon.daemon.drain())
    let peer = try daemon.connect()
    #expect(try peer.answer().reason == "DRAINING")
    #expect(try peer.next() == nil)
  }

  @Test func `a call in flight when the daemon drains can be repeated elsewhere`() throws {
    let peer = try askingPeer()
    pause(milliseconds: 100)
    #expect(daemon.daemon.drain())
    // Not CANCELLED, which a client that hung up gets, and does not retry.
    let answer = try peer.answer()
    #expect(answer.id == 0)
    #expect(answer.reason == "DRAINING")
    #expect(try peer.next() == nil)
  }

  @Test func `half a frame when the daemon drains is not the client's fault`() throws {
    let peer = try daemon.connect()
    try peer.send(Array(RawMessage().adding(1, 1).frame().prefix(3)))
    pause(milliseconds: 100)
    #expect(daemon.daemon.drain())
    #expect(try peer.answer().reason == "DRAINING")
  }
}
