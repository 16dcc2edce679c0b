import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Checkpoints that administrators published under names.
@Suite struct NameTests {
  private static let alice: UInt32 = 1000
  private static let bob: UInt32 = 1001

  private let store = Store(share: 1 << 20, lingerMilliseconds: 0)

  private static func warm(_ floatCount: Int = 16) throws -> Warm {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [floatCount], floats(floatCount))
    return try Warm(writer)
  }

  /// Publishes a checkpoint as an administrator whose connection then ends.
  @discardableResult
  private func publish(
    _ warm: Warm, as name: String = "bert", users: [UInt32] = [], groups: [UInt32] = []
  ) throws -> NamedCheckpoint? {
    let files = try warm.files(openedBy: Self.alice)
    let lease = try store.open(files, label: "/data/bert", for: .patient)
    return try store.publish(
      lease, files, as: Publication(try PublishedName(name), users: users, groups: groups))
  }

  private func open(
    _ name: String = "bert", by uid: UInt32 = bob, groups: [UInt32] = []
  ) throws -> (Lease, PublishedFiles) {
    try store.open(try PublishedName(name), for: .patient, by: uid) { groups }
  }

  private func reason(_ name: String = "bert", by uid: UInt32 = bob) -> Reason? {
    #expect(throws: Problem.self) { _ = try open(name, by: uid) }?.reason
  }

  @Test func `a published checkpoint is read for users who passed no file`() throws {
    let warm = try Self.warm()
    try publish(warm)
    let (lease, files) = try open()
    let piece = try lease.resident.piece("a", of: warm)
    let places = try lease.acquire(runs: [], pieces: [piece], from: files.set, for: .patient)
    #expect(places.map(\.byteCount) == [64])
    #expect(store.residents.map(\.leaseCount) == [1])
    #expect(store.figures.counters.indexesParsed == 1)
  }

  @Test func `the publisher pays for what is made, and the user for nothing`() throws {
    let warm = try Self.warm(4096)
    try publish(warm)
    let (before, fileCount) = (
      store.accounts.amount(of: .memory, for: Self.alice),
      store.accounts.amount(of: .descriptors, for: Self.alice)
    )
    do {
      let (lease, files) = try open()
      let piece = try lease.resident.piece("a", of: warm)
      _ = try lease.acquire(runs: [], pieces: [piece], from: files.set, for: .patient)
    }
    #expect(store.accounts.amount(of: .memory, for: Self.alice) >= before + 16384)
    #expect(store.accounts.amount(of: .descriptors, for: Self.alice) == fileCount + 1)
    #expect(store.accounts.amount(of: .memory, for: Self.bob) == 0)
    #expect(store.accounts.amount(of: .descriptors, for: Self.bob) == 0)
  }

  @Test func `an unknown name is refused with the nearest names that the user may use`() throws {
    let (base, other) = (try Self.warm(1), try Self.warm(2))
    try publish(base, as: "bert-base")
    try publish(other, as: "bert-case", users: [Self.alice])
    let error = #expect(throws: Problem.self) { _ = try open("bert-bas") }
    #expect(error?.reason == .checkpointNotFound)
    #expect(error?.message.contains("nearest: name:bert-base") == true)
    #expect(error?.message.contains("bert-case") == false)
    _ = (base, other)
  }

  @Test func `rules refuse other users, and say only that the name exists`() throws {
    let warm = try Self.warm()
    try publish(warm, users: [Self.alice], groups: [50])
    let error = #expect(throws: Problem.self) { _ = try open(groups: [7]) }
    #expect(error?.reason == .notAllowed)
    let message = try #require(error?.message)
    // The machine may have these users, and then names for them.
    #expect(message.hasPrefix("name:bert is not published for user "))
    #expect(message.contains(" or one of their groups; ask user "))
    #expect(message.hasSuffix(", who published it"))
    _ = try open(groups: [50])
    _ = try open(by: Self.alice)
    _ = try open(by: 0)
    #expect(store.names(for: Self.bob, groups: { [] }).isEmpty)
    #expect(store.names(for: nil, groups: { [] }).map(\.label) == ["/data/bert"])
    _ = warm
  }

  @Test func `a name moves to another checkpoint, and the old one loses its pin`() throws {
    let (old, new) = (try Self.warm(1), try Self.warm(2))
    try publish(old)
    #expect(try publish(old) == nil)
    let generation = try open().0.resident.generation
    let replaced = try publish(new)
    #expect(replaced?.generation == generation && replaced?.label == "/data/bert")
    #expect(try open().0.resident.generation != generation)
    #expect(store.residents.map(\.isPinned) == [true])
    _ = (old, new)
  }

  @Test func `a lease outlives the move of its name`() throws {
    let (old, new) = (try Self.warm(1), try Self.warm(2))
    try publish(old)
    let (lease, files) = try open()
    try publish(new)
    try files.expectUnchanged()
    let runs = [Resident.Run.whole(0)]
    _ = try lease.acquire(runs: runs, pieces: [], from: files.set, for: .patient)
    _ = (old, new)
  }

  @Test func `a checkpoint of two names stays pinned until both have ended`() throws {
    let warm = try Self.warm()
    try publish(warm, as: "one")
    try publish(warm, as: "two")
    try store.unpublish(try PublishedName("one"))
    #expect(store.residents.map(\.isPinned) == [true])
    #expect(reason("one") == .checkpointNotFound)
    try store.unpublish(try PublishedName("two"))
    #expect(store.residents.isEmpty)
    #expect(eventually { store.accounts.amount(of: .descriptors) == 0 })
    let error = #expect(throws: Problem.self) { try store.unpublish(try PublishedName("two")) }
    #expect(error?.reason == .checkpointNotFound)
  }

  @Test func `an unpin by generation ends all names`() throws {
    let warm = try Self.warm()
    try publish(warm, as: "one")
    try publish(warm, as: "two")
    try store.unpin(try open("one").0.resident.generation.description)
    #expect(reason("one") == .checkpointNotFound && reason("two") == .checkpointNotFound)
    #expect(store.residents.isEmpty)
  }

  @Test func `a changed file ends the use of the name, and the log says so once`() throws {
    let warm = try Self.warm()
    try publish(warm)
    let (lease, files) = try open()
    _ = try File(creating: FilePath(warm.bundle.shards[0]))
    for _ in 0..<2 {
      let error = #expect(throws: Problem.self) { _ = try open() }
      #expect(error?.reason == .checkpointChanged)
      #expect(error?.message.contains("has changed since it was published") == true)
      #expect(error?.message.contains("warmstartctl pin --name bert") == true)
    }
    #expect(throws: Problem.self) { try files.expectUnchanged() }
    #expect(store.takeLostNames().count == 1)
    _ = consume lease
    #expect(store.residents.isEmpty)
    #expect(store.names(for: Self.bob, groups: { [] }).map(\.fault.isEmpty) == [false])
  }

  @Test(arguments: ["was deleted", "has changed"])
  func `files that were deleted or overwritten are let go within seconds, and the name says why`(
    fault: String
  ) throws {
    let warm = try Self.warm()
    try publish(warm)
    if fault == "was deleted" {
      try TemporaryDirectory.remove(warm.bundle.shards[0])
    } else {
      _ = try File(creating: FilePath(warm.bundle.shards[0]))
    }
    store.sweep()
    #expect(eventually { store.residents.isEmpty })
    #expect(eventually { store.accounts.amount(of: .descriptors) == 0 })
    #expect(
      store.takeLostNames().map { $0.hasSuffix("; the checkpoint is no longer pinned") } == [true])
    #expect(store.names(for: Self.bob, groups: { [] }).map { $0.fault.contains(fault) } == [true])
    #expect(store.takeLostPins().isEmpty)
    #expect(reason() == .checkpointChanged)
    let again = try Self.warm()
    try publish(again)
    _ = try open()
    _ = again
  }

  @Test func `a publisher who may keep no more files open is refused, and nothing changes`() throws
  {
    let warm = try Self.warm()
    let files = try warm.files(openedBy: Self.alice)
    let lease = try store.open(files, label: "", for: .patient)
    store.accounts.limit(.descriptors, to: 2)
    let error = #expect(throws: Problem.self) {
      try store.publish(lease, files, as: Publication(try PublishedName("bert")))
    }
    #expect(error?.reason == .quota)
    #expect(reason() == .checkpointNotFound)
    #expect(store.residents.map(\.isPinned) == [false])
  }
}
