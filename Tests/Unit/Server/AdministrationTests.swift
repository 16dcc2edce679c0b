import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// The calls that only administrators make, and preloading.
@Suite(.serialized, .descriptorsBalanced) struct AdministrationTests {
  private let daemon: ServedDaemon
  private let passed: PassedFiles

  init() throws {
    daemon = try ServedDaemon()
    passed = try PassedFiles(Golden.path("v2_partitioned/model.ckpt-7"))
  }

  private func pin(_ peer: Peer) throws -> Peer.Answer {
    try peer.call(.pin, files: passed.files) { $0.begin(OpenRequest(passed.reference), $1) }
    return try peer.answer()
  }

  private func unpin(_ peer: Peer, _ generation: String) throws -> Peer.Answer {
    try peer.call(.unpin) { frame, _ in frame.begin(GenerationRequest(generation: generation)) }
    return try peer.answer()
  }

  private func evict(_ peer: Peer, _ generation: String = "") throws -> Peer.Answer {
    try peer.call(.evict) { frame, _ in frame.begin(GenerationRequest(generation: generation)) }
    return try peer.answer()
  }

  /// Evicts all that it can; returns how many that were, and how many stay: pinned, and leased.
  private func evictAll(_ peer: Peer) throws -> [Int] {
    let evicted = try peer.unpack(try evict(peer), Evicted.init(unpacking:_:))
    return [evicted.checkpointCount, evicted.pinnedCount, evicted.leasedCount]
  }

  @Test func `other sockets do not have these calls`() throws {
    let peer = try daemon.connect()
    for answer in [try pin(peer), try unpin(peer, "0"), try evict(peer)] {
      #expect(answer.reason == "UNSUPPORTED")
      #expect(
        answer.status?.message.contains("only available at the administrators' socket") == true)
    }
    #expect(daemon.daemon.store.residentCount == 0)
  }

  @Test func `a pin outlives its connection, and status shows it`() throws {
    var opened: OpenReply?
    do {
      let administrator = try daemon.connect(.administration)
      let answer = try pin(administrator)
      opened = try administrator.unpack(answer, PinReply.init(unpacking:_:)).checkpoint
    }
    let generation = try #require(opened?.generation)
    #expect(daemon.settles())
    let next = try daemon.connect(.administration)
    let checkpoint = try #require(try next.status().checkpoints.first)
    #expect(checkpoint.isPinned && checkpoint.leaseCount == 0 && checkpoint.idleMilliseconds == 0)
    #expect(try evict(next, generation).reason == "IN_USE")
    #expect(try unpin(next, generation).reason == nil)
    #expect(try next.status().checkpoints.isEmpty)
    #expect(try unpin(next, generation).reason == "CHECKPOINT_NOT_FOUND")
  }

  @Test func `a generation that begins with NUL is unknown, and does not stand for all`() throws {
    let lingering = try ServedDaemon(lingerMilliseconds: 60_000)
    do {
      let peer = try lingering.connect()
      _ = try peer.close(try peer.handle(passed))
    }
    let administrator = try lingering.connect(.administration)
    #expect(try evict(administrator, "\0").reason == "CHECKPOINT_NOT_FOUND")
    let generation = try #require(try administrator.status().checkpoints.first).generation
    #expect(try evict(administrator, generation + "\0").reason == "CHECKPOINT_NOT_FOUND")
    #expect(try administrator.status().checkpoints.count == 1)
    #expect(try evict(administrator, generation).reason == nil)
  }

  @Test func `unused checkpoints are evicted, and counted`() throws {
    let lingering = try ServedDaemon(lingerMilliseconds: 60_000)
    do {
      let peer = try lingering.connect()
      let handle = try peer.handle(passed)
      let administrator = try lingering.connect(.administration)
      #expect(try evictAll(administrator) == [0, 0, 1])
      let pinned = try administrator.unpack(try pin(administrator), PinReply.init(unpacking:_:))
      _ = try administrator.close(try #require(pinned.checkpoint).handle)
      #expect(try evictAll(administrator) == [0, 1, 0])
      let generation = try #require(try administrator.status().checkpoints.first).generation
      #expect(try unpin(administrator, generation).reason == nil)
      _ = try peer.close(handle)
    }
    let administrator = try lingering.connect(.administration)
    #expect(try administrator.status().checkpoints.count == 1)
    #expect(try evictAll(administrator) == [1, 0, 0])
    #expect(try evictAll(administrator) == [0, 0, 0])
    #expect(try administrator.status().checkpoints.isEmpty)
  }

  @Test func `the log names a checkpoint that lost its pin because its index was deleted`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [16], [UInt8](repeating: 1, count: 16))
    let bundle = try writer.write(to: directory.path)
    let passed = try PassedFiles(bundle.prefix)
    let administrator = try daemon.connect(.administration)
    try administrator.call(.pin, files: passed.files) {
      $0.begin(OpenRequest(passed.reference), $1)
    }
    let answer = try administrator.answer()
    let opened = try #require(
      try administrator.unpack(answer, PinReply.init(unpacking:_:)).checkpoint)
    _ = try administrator.close(opened.handle)
    try TemporaryDirectory.remove(bundle.index)
    // The reaper looks at the file, after the lease has ended.
    for _ in 0..<5000 where daemon.warnings.isEmpty {
      daemon.daemon.store.sweep()
      daemon.daemon.noteLostPins()
      Thread.sleep(milliseconds: 1)
    }
    #expect(daemon.warnings.count == 1)
    #expect(daemon.warnings.first?.contains("is no longer pinned, because a file") == true)
  }

  @Test func `the log says once that a user was refused memory, and why`() throws {
    let small = try ServedDaemon(budget: 4096)
    let peer = try small.connect()
    for _ in 0..<2 { #expect(try peer.open(passed.files, passed.reference).reason == "BUDGET") }
    #expect(small.warnings.count == 1)
    let line = try #require(small.warnings.first)
    #expect(line.hasPrefix("refused process \(Process.id) of user "))
    #expect(line.contains(": RESOURCE_EXHAUSTED (BUDGET): "))
    #expect(line.contains("see Budget in warmstartd.conf(5)"))
    let counters = try peer.status().counters
    #expect(counters.first { $0.name == "room_refused" }?.value == 2)
  }

  @Test func `preloading reads all tensors and says how many`() throws {
    let peer = try daemon.connect()
    try peer.call(.preload, files: passed.files) { frame, _ in
      frame.begin(PreloadRequest(passed.reference))
    }
    var replies: [PreloadReply] = []
    while true {
      let answer = try peer.answer()
      replies.append(try peer.unpack(answer, PreloadReply.init(unpacking:_:)))
      if !answer.reply.more { break }
    }
    let last = try #require(replies.last)
    let opened = try #require(last.checkpoint)
    #expect(last.tensorCount == opened.tensorCount && last.byteCount == opened.byteCount)
    #expect(last.unshared.isEmpty && last.progress == nil)
    #expect(replies.dropLast().allSatisfy { $0.progress != nil && $0.checkpoint == nil })
    #expect(try peer.status().checkpoints.map(\.verifiedByteCount) == [opened.byteCount])
  }

  @Test func `an impossible alignment is refused`() throws {
    let peer = try daemon.connect()
    try peer.call(.preload, files: passed.files) { frame, _ in
      var request = PreloadRequest(passed.reference)
      request.alignment = 3
      frame.begin(request)
    }
    #expect(try peer.answer().reason == "INVALID_REQUEST")
  }
}
