import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// What becomes of published names, and of pins that cannot be kept, in the next process.
@Suite struct RestoredNameTests {
  private static let alice: UInt32 = 1000
  private static let bob: UInt32 = 1001

  private let shelf = Shelf()
  private let bert: PublishedName

  init() throws { bert = try PublishedName("bert") }

  /// A checkpoint of a number of data files; the last has tensor c.
  private static func warm(shardCount: Int = 2) throws -> Warm {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4, 4], floats(16))
    for shard in 1..<shardCount - 1 {
      writer.add(.init("t\(shard)"), dtype: 4, [1], [1], in: shard)
    }
    writer.add("c", dtype: 4, [100], [UInt8](repeating: 3, count: 100), in: shardCount - 1)
    return try Warm(writer)
  }

  /// Makes the store of a new process; the process before is as good as killed.
  private func store(_ shelf: Shelf? = nil) -> Store {
    Store(
      budget: 1 << 21, lingerMilliseconds: 60_000, descriptors: (shelf ?? self.shelf).next())
  }

  private func restored(_ shelf: Shelf? = nil) throws -> (Store, Store.Restored) {
    let store = store(shelf)
    return (store, store.restore(try (shelf ?? self.shelf).passed()))
  }

  /// Publishes files as an administrator whose connection then ends.
  private func publish(
    _ files: FileSet, in store: Store, users: [UInt32] = [], groups: [UInt32] = []
  ) throws {
    let lease = try store.open(files, label: "/data/bert", for: .patient)
    _ = try store.publish(
      lease, files, as: Publication(bert, users: users, groups: groups))
  }

  private func read(_ tensor: Name, of warm: Warm, in store: Store) throws -> [UInt8] {
    let (lease, files) = try store.open(bert, for: .patient, by: Self.alice, groups: { [] })
    let piece = try lease.resident.piece(tensor, of: warm)
    let place = try lease.acquire(runs: [], pieces: [piece], from: files.set, for: .patient)[0]
    var bytes = [UInt8](repeating: 0, count: place.byteCount)
    try bytes.write(0..<place.byteCount) { run throws(Errno) in
      try place.arena.arena.read(at: place.offset, into: &run)
    }
    return bytes
  }

  private func fault(in store: Store) throws -> Problem? {
    #expect(throws: Problem.self) {
      try store.open(bert, for: .patient, by: Self.alice, groups: { [] })
    }
  }

  @Test func `a published name serves its users from the same files, until it ends`() throws {
    let warm = try Self.warm()
    try publish(warm.files(openedBy: 0), in: store(), users: [Self.alice], groups: [7])
    #expect(["file", "record", "names"].map(shelf.count) == [3, 1, 1])
    for _ in 0..<3 {
      let (next, restored) = try restored()
      #expect(restored.complaints == [])
      #expect(try read("c", of: warm, in: next) == [UInt8](repeating: 3, count: 100))
      #expect(next.residents.map(\.isPinned) == [true])
      let names = next.names(for: nil, groups: { [] })
      #expect(names.map(\.publication) == [Publication(bert, users: [Self.alice], groups: [7])])
      #expect(names.map(\.label) == ["/data/bert"])
      #expect(names.map(\.fault) == [""])
      let refused = #expect(throws: Problem.self) {
        try next.open(bert, for: .patient, by: Self.bob, groups: { [8] })
      }
      #expect(refused?.reason == .notAllowed)
      #expect(next.takeEndingPins() == [])
      // In a store that is as good as killed, nothing is read again.
      #expect(next.figures.counters.indexesParsed == 0)
    }
    let (last, _) = try restored()
    try last.unpublish(bert)
    #expect(last.residents.map(\.isPinned) == [false])
    #expect(["file", "names"].map(shelf.count) == [1, 0])
    #expect(last.evictAll() == 1)
    #expect(shelf.names == [])
    // The processes before, which are this one, still have the arena.
    #expect(last.accounts.amount(of: .memory) == last.kept.byteCount())
    #expect(eventually { last.accounts.amount(of: .descriptors) <= 1 })
  }

  @Test func `the publisher pays for the files again`() throws {
    let warm = try Self.warm()
    let killed = store()
    try publish(warm.files(openedBy: Self.bob), in: killed)
    let amount = killed.accounts.amount(of: .descriptors, for: Self.bob)
    #expect(amount == 6)
    let (next, _) = try restored()
    #expect(next.accounts.amount(of: .descriptors, for: Self.bob) == amount)
  }

  @Test func `a checkpoint that was pinned first keeps its files when it is published`() throws {
    let warm = try Self.warm()
    let killed = store()
    // The index comes last, so that its place is not the first.
    let files = try warm.files(openedBy: 0)
    let moved = try FileSet(
      (files.members.dropFirst() + files.members.prefix(1)).map { ($0.role, $0.file) }, openedBy: 0)
    killed.pin(try killed.open(moved, label: "/data/bert", for: .patient))
    #expect(shelf.count("file") == 1)
    try publish(moved, in: killed)
    #expect(shelf.count("file") == 3)
    for _ in 0..<2 {
      let (next, restored) = try restored()
      #expect(restored.complaints == [])
      let (lease, named) = try next.open(bert, for: .patient, by: Self.alice, groups: { [] })
      #expect(lease.resident.generation == moved.generation)
      #expect(named.set.members.map(\.role) == moved.members.map(\.role))
    }
  }

  @Test func `a name moves, and the next process has only its new checkpoint`() throws {
    let (old, new) = (try Self.warm(), try Self.warm(shardCount: 3))
    let killed = store()
    try publish(old.files(), in: killed)
    try publish(new.files(), in: killed)
    let (next, _) = try restored()
    let (lease, _) = try next.open(bert, for: .patient, by: Self.alice, groups: { [] })
    #expect(lease.resident.generation == (try new.files().generation))
    #expect(next.names(for: nil, groups: { [] }).count == 1)
    #expect(next.residents.filter(\.isPinned).count == 1)
  }

  // MARK: Files that cannot be kept

  @Test func `a name with too many files comes back without them, and can be published again`()
    throws
  {
    let warm = try Self.warm(shardCount: 16)
    let killed = store()
    try publish(warm.files(), in: killed)
    let reason = "it has 17 files, and at most 16 of a published or locked checkpoint are kept"
    #expect(
      killed.takeEndingPins() == [
        "the use of the names of checkpoint /data/bert will end with this process of the daemon: \(reason)"
      ])
    #expect(killed.takeEndingPins() == [])
    #expect(killed.residents.map { killed.endOfPin($0.resident) } == [reason])
    _ = try read("a", of: warm, in: killed)
    for _ in 0..<2 {
      let (next, _) = try restored()
      let fault = try fault(in: next)
      #expect(fault?.reason == .checkpointChanged)
      #expect(
        fault?.message
          == "name:bert cannot be used: the daemon was restarted since it was published, and "
          + "\(reason); an administrator can publish the checkpoint again with "
          + "warmstartctl pin --name bert")
      // The pin and what was made stay, for when it is published again.
      #expect(next.residents.map(\.isPinned) == [true])
    }
    let (next, _) = try restored()
    try publish(warm.files(), in: next)
    #expect(try read("a", of: warm, in: next) == floats(16))
    #expect(next.figures.counters.loads == 0)
    try next.unpublish(bert)
    #expect(next.residents.map(\.isPinned) == [false])
    #expect(shelf.count("names") == 0)
  }

  @Test func `a name on a file system of a user's own comes back without its files`() throws {
    let warm = try Self.warm()
    // A file of another saving of the checkpoint, on a file system that is not trusted.
    let files = try FileSet(
      warm.files().members.map { ($0.role, $0.file) } + [
        (.shard(0, of: 7), try File(opening: "/proc/version"))
      ], openedBy: Self.bob)
    let killed = store()
    try publish(files, in: killed)
    let reason = "one of its files is on another file system than ext4, xfs, btrfs and tmpfs"
    #expect(
      killed.takeEndingPins() == [
        "the pin of checkpoint /data/bert will end with this process of the daemon: \(reason)"
      ])
    #expect(shelf.names.map { $0.prefix(6) } == ["names."])
    let (next, _) = try restored()
    #expect(try fault(in: next)?.message.contains(", and \(reason);") == true)
    #expect(next.takeLostNames().count == 1)
    #expect(next.residents.isEmpty)
    try publish(files, in: next)
    #expect(try read("a", of: warm, in: next) == floats(16))
  }

  @Test func `a pin that finds no place is reported once, and so is its name`() throws {
    let warm = try (0..<3).map { try Self.warm(shardCount: 2 + $0) }
    // Two pins, each of a file and a record, and the names.
    let shelf = Shelf(capacity: 5)
    let killed = store(shelf)
    for warm in warm.dropLast() { killed.pin(try warm.open(killed)) }
    #expect(killed.takeEndingPins() == [])
    try publish(warm[2].files(), in: killed)
    killed.sweep()
    let reports = killed.takeEndingPins()
    #expect(reports.count == 1)
    #expect(reports.allSatisfy { $0.hasSuffix("the service manager keeps at most 4 descriptors") })
    let (next, _) = try restored(shelf)
    #expect(next.residents.count { $0.isPinned } == 2)
    #expect(try fault(in: next)?.message.contains("keeps at most 4 descriptors") == true)
  }

  @Test func `a name whose file changed meanwhile says so`() throws {
    let warm = try Self.warm()
    try publish(warm.files(), in: store())
    try BundleFile.overwrite(warm.bundle.shards[1], at: 0, [4])
    for _ in 0..<2 {
      let (next, _) = try restored()
      let message = try fault(in: next)?.message
      #expect(
        message?.contains("data file of shard 1 of 2 has changed since;") == true,
        "\(message ?? "")")
    }
  }

  @Test func `a name that was lost stays lost, with its reason`() throws {
    let warm = try Self.warm()
    let killed = store()
    try publish(warm.files(), in: killed)
    try BundleFile.overwrite(warm.bundle.shards[1], at: 0, [4])
    let before = try fault(in: killed)
    let (next, _) = try restored()
    #expect(try fault(in: next)?.message == before?.message)
    try next.unpublish(bert)
    #expect(shelf.count("names") == 0)
  }

  @Test func `damaged names cost no checkpoint`() throws {
    let warm = try Self.warm()
    try publish(warm.files(), in: store())
    let (name, _) = try shelf.only("names")
    shelf.put(try shelf.only("record").file, as: name)
    let (next, restored) = try restored()
    #expect(restored.checkpointCount == 1)
    #expect(restored.complaints.map { $0.hasSuffix("no trailer of the expected kind") } == [true])
    #expect(next.names(for: nil, groups: { [] }).isEmpty)
    #expect(next.residents.map(\.isPinned) == [true])
    #expect(shelf.count("names") == 0)
  }
}
