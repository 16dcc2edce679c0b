import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// One user's resources leave room for another user, who cannot see them.
@Suite(.serialized, .descriptorsBalanced) struct UserTests {
  private static let (alice, bob): (UInt32, UInt32) = (20_001, 20_002)

  private func daemon(_ change: (inout Limits) -> Void = { _ in }) throws -> ServedDaemon {
    var limits = Limits()
    change(&limits)
    return try ServedDaemon(limits, lingerMilliseconds: 60_000)
  }

  @Test func `one user's connections leave room for another's`() throws {
    let daemon = try daemon { $0.connections = 8 }
    let alices = try (0..<6).map { _ in try daemon.connect(as: Self.alice) }
    for peer in alices { _ = try peer.status() }
    #expect(try daemon.connect(as: Self.alice).answer().reason == "QUOTA")
    let bobs = try daemon.connect(as: Self.bob)
    #expect(try bobs.status().clientCount == 7)
    alices[0].finishWriting()
    #expect(daemon.settles(atMost: 6))
    _ = try daemon.connect(as: Self.alice).status()
  }

  @Test func `one user's files leave room for another's`() throws {
    let daemon = try daemon { $0.descriptors = 8 }
    let passed = try PassedFiles.golden()
    let alices = try daemon.connect(as: Self.alice)
    for _ in 0..<3 { _ = try alices.attach(passed.files) }
    try alices.call(.attach, files: passed.files)
    #expect(try alices.answer().reason == "QUOTA")
    #expect(try daemon.connect(as: Self.bob).attach([passed.files[0]]).count == 1)
  }

  @Test func `files in flight of one user leave room for another's`() throws {
    let daemon = try daemon { $0.filesInFlight = 8 }
    let file = try PassedFiles.golden().files[0]
    let alices = try daemon.connect(as: Self.alice)
    let frame = RawMessage().adding(1, 1).adding(2, Method.attach.rawValue).adding(4, 6).frame()
    // All but its last byte: the files have come, the call has not.
    try alices.send(Array(frame.dropLast()), Array(repeating: file, count: 6))
    try waits(daemon, for: .filesInFlight, toBe: 6)
    var isRefused = false
    for _ in 0..<100 where !isRefused {
      let peer = try daemon.connect(as: Self.alice)
      try peer.call(.attach, files: [file])
      isRefused = try peer.answer().reason == "QUOTA"
    }
    #expect(isRefused)
    #expect(try daemon.connect(as: Self.bob).attach([file]).count == 1)
    _ = alices
  }

  /// Waits until Alice has at least this much of a resource.
  private func waits(
    _ daemon: ServedDaemon, for resource: Resource, toBe amount: Int
  ) throws {
    for _ in 0..<20_000 {
      let taken = daemon.daemon.store.accounts.amount(of: resource, for: Self.alice)
      if taken >= amount { return }
      Thread.sleep(milliseconds: 1)
    }
    Issue.record("nothing is taken")
  }

  @Test func `messages of one user leave room for another's`() throws {
    let daemon = try daemon { $0.messageByteCount = 4 << 20 }
    let padding = [UInt8](repeating: 0, count: 130_000)
    let call = RawMessage().adding(1, 1).adding(2, Method.hello.rawValue).adding(99, padding)
    let frame = call.frame()
    let alices = try daemon.connect(as: Self.alice)
    try alices.send(Array(frame.dropLast()))
    try waits(daemon, for: .messages, toBe: 20 * 130_000)
    var isRefused = false
    for _ in 0..<100 where !isRefused {
      let peer = try daemon.connect(as: Self.alice)
      try? peer.send(frame)
      isRefused = try peer.answer().reason == "QUOTA"
    }
    #expect(isRefused)
    let bobs = try daemon.connect(as: Self.bob)
    #expect(try bobs.status().clientCount >= 2)
    _ = alices
  }

  @Test func `an idle connection keeps no more memory than it is charged`() throws {
    let daemon = try daemon { $0.messageByteCount = 64 << 20 }
    let peer = try daemon.connect(as: Self.alice)
    let charged = daemon.daemon.store.accounts.amount(of: .messages)
    #expect(charged == 128 << 10)
    let padding = [UInt8](repeating: 0, count: 1 << 20)
    try peer.send(
      RawMessage().adding(1, 1).adding(2, Method.hello.rawValue).adding(99, padding).frame())
    #expect(try peer.answer().status == nil)
    _ = try peer.status()
    var idle = 0
    for _ in 0..<1000 where idle != charged {
      idle = daemon.daemon.store.accounts.amount(of: .messages)
      Thread.sleep(milliseconds: 1)
    }
    #expect(idle == charged)
  }

  @Test func `a reply that is not read is charged until it is`() throws {
    let daemon = try daemon()
    let peer = try daemon.connect(as: Self.alice)
    let passed = try PassedFiles.golden("v2_many/many")
    let handle = try peer.handle(passed)
    let accounts = daemon.daemon.store.accounts
    let before = accounts.amount(of: .messages)
    try peer.call(.list) { $0.begin(OpenRequest(.handle(handle)), $1) }
    var waiting = 0
    for _ in 0..<20_000 where waiting <= 1 << 20 {
      waiting = accounts.amount(of: .messages) - before
      Thread.sleep(milliseconds: 1)
    }
    // A reply of 768 KiB.
    #expect(waiting > 1 << 20)
    while try peer.answer().reply.more {}
    _ = try peer.status()
    #expect(accounts.amount(of: .messages) <= before + (64 << 10))
  }

  @Test func `users see their own clients and checkpoints, administrators all`() throws {
    let daemon = try daemon()
    let (alices, bobs) = (try daemon.connect(as: Self.alice), try daemon.connect(as: Self.bob))
    let (own, others) = (try PassedFiles.golden(), try PassedFiles.golden("v2_many/many"))
    _ = try alices.handle(own)
    _ = try bobs.handle(others)
    let seen = try alices.status()
    #expect(seen.clients.map(\.userID) == [Int(Self.alice)])
    #expect(seen.checkpoints.count == 1)
    #expect(seen.leaseCount == 2)
    #expect(seen.clientCount == 2)
    #expect(seen.chargedByteCount > seen.ownChargedByteCount)
    #expect(seen.users.map(\.userID) == [Int(Self.alice)])
    #expect(seen.users.allSatisfy { $0.chargedByteCount > 0 && $0.clientCount > 0 })
    let all = try daemon.connect(.administration, as: 0).status()
    #expect(Set(all.users.map(\.userID)).isSuperset(of: [Int(Self.alice), Int(Self.bob)]))
    #expect(all.users.reduce(0) { $0 + $1.chargedByteCount } == all.chargedByteCount)
    #expect(all.clientLimit >= all.clientCount)
    #expect(Set(all.clients.map(\.userID)) == [0, Int(Self.alice), Int(Self.bob)])
    #expect(all.checkpoints.count == 2)
    // Both see a checkpoint that both lease.
    _ = try bobs.handle(PassedFiles.golden())
    #expect(try bobs.status().checkpoints.count == 2)
    #expect(try alices.status().checkpoints.count == 1)
  }
}
