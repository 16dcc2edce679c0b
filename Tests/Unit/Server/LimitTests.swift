import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel

/// Requests beyond a limit are refused with a reply, and freed room can be used again.
@Suite(.serialized, .descriptorsBalanced) struct LimitTests {
  private func daemon(_ change: (inout Limits) -> Void) throws -> ServedDaemon {
    var limits = Limits()
    change(&limits)
    return try ServedDaemon(limits)
  }

  @Test func `more handles than a connection may have are over quota`() throws {
    let daemon = try daemon { $0.handles = 3 }
    let peer = try daemon.connect()
    let passed = try PassedFiles.golden()
    let handles = try (0..<3).map { _ in try peer.handle(passed) }
    let answer = try peer.open(passed.files, passed.reference)
    #expect(answer.reason == "QUOTA")
    #expect(answer.status?.code == .resourceExhausted)
    _ = try peer.close(handles[1])
    #expect(try peer.open(passed.files, passed.reference).status == nil)
  }

  @Test func `more attachments than a checkpoint may have files are over quota`() throws {
    let daemon = try daemon { $0.descriptors = 1 << 20 }
    let peer = try daemon.connect()
    let file = try PassedFiles.golden().files[0]
    let batch = Array(repeating: file, count: 64)
    for _ in 0..<maximumCheckpointFiles / 64 { #expect(try peer.attach(batch).count == 64) }
    try peer.call(.attach, files: [file])
    #expect(try peer.answer().reason == "QUOTA")
  }

  /// Limits that give a user exactly this many files: three quarters of what others leave.
  private func daemon(filesOfAUser count: Int) throws -> ServedDaemon {
    try daemon { $0.descriptors = count + count / 3 }
  }

  @Test func `more files than a user may have are over quota on all connections`() throws {
    // Two files of each connection, and the index that the resident holds.
    let daemon = try daemon(filesOfAUser: 6)
    let (peer, other) = (try daemon.connect(), try daemon.connect())
    let passed = try PassedFiles.golden()
    #expect(try peer.attach(passed.files).count == 2)
    let handle = try other.handle(passed)
    #expect(try other.open(passed.files, passed.reference).reason == "QUOTA")
    try peer.call(.attach, files: passed.files)
    #expect(try peer.answer().reason == "QUOTA")
    #expect(try other.close(handle).status == nil)
    #expect(try peer.attach(passed.files).count == 2)
  }

  @Test func `files are closed when their connection ends`() throws {
    let daemon = try daemon(filesOfAUser: 6)
    let passed = try PassedFiles.golden()
    for _ in 0..<3 {
      let peer = try daemon.connect()
      #expect(try peer.attach(passed.files).count == 2)
      #expect(try peer.open(passed.files, passed.reference).status == nil)
      #expect(try peer.open(passed.files, passed.reference).reason == "QUOTA")
      peer.finishWriting()
      #expect(daemon.settles())
    }
  }

  @Test func `files of a refused checkpoint are closed`() throws {
    // Two of the connection, and two that the checkpoint keeps.
    let daemon = try daemon(filesOfAUser: 4)
    let peer = try daemon.connect()
    let passed = try PassedFiles.golden()
    let shards = [0, 1].map { CheckpointFile(.shard(0, of: 1), .descriptor($0)) }
    for _ in 0..<5 {
      #expect(try peer.open(passed.files, .files(shards, label: "")).reason == "INVALID_REQUEST")
    }
    #expect(try peer.open(passed.files, passed.reference).status == nil)
  }

  @Test func `files that were attached for a failed call are closed`() throws {
    let daemon = try daemon(filesOfAUser: 4)
    let peer = try daemon.connect()
    let passed = try PassedFiles.golden()
    for _ in 0..<5 {
      let ids = try peer.attach(passed.files)
      let files = [CheckpointFile(.shard(0, of: 1), .attached(ids[0]))]
      #expect(try peer.open([], .files(files, label: "")).reason == "INVALID_REQUEST")
    }
    // A call that fails before its files are looked at.
    for _ in 0..<5 {
      #expect(try peer.attach(passed.files).count == 2)
      #expect(try peer.close(999).reason == "INVALID_REQUEST")
    }
    #expect(try peer.open(passed.files, passed.reference).status == nil)
  }

  @Test func `an attached file has one role`() throws {
    let daemon = try daemon { $0.descriptors = 2 }
    let peer = try daemon.connect()
    let passed = try PassedFiles.golden()
    let id = try peer.attach([passed.files[0]])[0]
    let files = [
      CheckpointFile(.index, .attached(id)), CheckpointFile(.shard(0, of: 1), .attached(id)),
    ]
    // Otherwise it would be refunded twice, and the user could exceed the limit.
    #expect(try peer.open([], .files(files, label: "")).reason == "INVALID_REQUEST")
  }

  @Test func `a connection beyond the daemon's limit is refused by a status`() throws {
    let daemon = try daemon {
      $0.connections = 2
      $0.connectionsPerUser = 10
    }
    try expectTwoConnections(daemon)
  }

  @Test func `a connection beyond the user's limit is refused by a status`() throws {
    try expectTwoConnections(try daemon { $0.connectionsPerUser = 2 })
  }

  private func expectTwoConnections(_ daemon: ServedDaemon) throws {
    let (first, second) = (try daemon.connect(), try daemon.connect())
    let third = try daemon.connect()
    let refusal = try third.answer()
    #expect(refusal.id == 0)
    #expect(refusal.reason == "QUOTA")
    #expect(try third.next() == nil)
    try first.call(.hello)
    #expect(try first.answer().status == nil)
    second.finishWriting()
    #expect(daemon.settles(atMost: 1))
    let fourth = try daemon.connect()
    try fourth.call(.hello)
    #expect(try fourth.answer().status == nil)
  }

  @Test func `a full daemon accepts administrators, up to their own limit`() throws {
    let daemon = try daemon {
      $0.connections = 2
      $0.connectionsPerUser = 2
      $0.administrationConnections = 2
    }
    let clients = try (0..<2).map { _ in try daemon.connect() }
    let administrators = try (0..<2).map { _ in try daemon.connect(.administration) }
    #expect(try administrators[0].status().clientCount == 4)
    #expect(try daemon.connect(.administration).answer().reason == "QUOTA")
    #expect(try daemon.connect().answer().reason == "QUOTA")
    clients[0].finishWriting()
    #expect(daemon.settles(atMost: 3))
    let client = try daemon.connect()
    try client.call(.hello)
    #expect(try client.answer().status == nil)
    administrators[0].finishWriting()
    #expect(daemon.settles(atMost: 3))
    #expect(try daemon.connect().answer().reason == "QUOTA")
    #expect(try daemon.connect(.administration).status().clientCount == 4)
  }

  @Test func `the log says once whose connections are refused`() throws {
    let daemon = try daemon { $0.connections = 0 }
    for _ in 0..<2 {
      #expect(try daemon.connect(as: 4321).answer().reason == "QUOTA")
    }
    #expect(
      daemon.warnings
        == [
          "refused process 1 of user 4321: RESOURCE_EXHAUSTED (QUOTA): the daemon has 0 connections, "
            + "its limit; see MaxConnections in warmstartd.conf(5)"
        ])
  }

  @Test func `administrators take nothing of their user's connections`() throws {
    let daemon = try daemon { $0.connectionsPerUser = 1 }
    let administrator = try daemon.connect(.administration)
    #expect(try administrator.status().clientCount == 1)
    let client = try daemon.connect()
    #expect(try client.status().clientCount == 2)
    #expect(try daemon.connect().answer().reason == "QUOTA")
  }

  @Test func `requests that take more memory than their user may have are refused`() throws {
    let daemon = try daemon { $0.messageByteCount = 6 << 20 }
    let peer = try daemon.connect()
    let padding = [UInt8](repeating: 0, count: 200_000)
    let small = RawMessage().adding(1, 1).adding(2, Method.hello.rawValue).adding(99, padding)
    for _ in 0..<5 {
      try peer.send(small.frame())
      #expect(try peer.answer().status == nil)
    }
    // The daemon does not read all of it, so the send may fail.
    try? peer.send(small.adding(98, padding).adding(97, padding).frame())
    let refusal = try peer.answer()
    #expect(refusal.id == 0)
    #expect(refusal.reason == "QUOTA")
    #expect(daemon.settles())
  }

  @Test func `limits fit the descriptors that the process may open`() {
    var limits = Limits()
    limits.fit(descriptors: 1024)
    #expect(limits.connections <= 256)
    #expect(limits.connectionsPerUser <= limits.connections)
    #expect(limits.descriptors + limits.filesInFlight + limits.connections < 1024)
  }
}
