import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartSystemd
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Calls that ask for a published checkpoint by its name.
@Suite(.serialized, .descriptorsBalanced) struct NamedCheckpointTests {
  private let daemon: ServedDaemon
  private let directory: TemporaryDirectory
  private let bundle: BundleWriter.Bundle
  private let passed: PassedFiles

  private static let map = AssignmentMap([AssignmentMap.Pair("/", .name("/"))])
  private static let variables = [Variable("a", dtype: .float32, shape: [16])]

  init() throws {
    daemon = try ServedDaemon()
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [16], [UInt8](repeating: 0, count: 64))
    bundle = try writer.write(to: directory.path)
    passed = try PassedFiles(bundle.prefix, label: "/data/bert")
  }

  @discardableResult
  private func publish(
    _ name: String = "bert", users: [UInt32] = [], groups: [UInt32] = []
  ) throws -> PinReply {
    let publication = Publication(try PublishedName(name), users: users, groups: groups)
    let administrator = try daemon.connect(.administration)
    try administrator.call(.pin, files: passed.files, features: ["names"]) {
      $0.begin(PinRequest(passed.reference, as: publication), $1)
    }
    return try administrator.unpack(try administrator.answer(), PinReply.init(unpacking:_:))
  }

  private func unpublish(_ name: String = "bert") throws -> String? {
    let administrator = try daemon.connect(.administration)
    try administrator.call(.unpin) { frame, _ in frame.begin(GenerationRequest(name: name)) }
    return try administrator.answer().reason
  }

  private func logged(_ kind: LogEvent.Kind) -> [String] {
    daemon.events.filter { $0.kind == kind }.map(\.text)
  }

  private func open(_ name: String = "bert", as uid: UInt32? = 1001) throws -> Peer.Answer {
    try daemon.connect(as: uid).open([], .name(name))
  }

  @Test func `a client without files gets a named checkpoint's tensors in arenas`() throws {
    try publish()
    let peer = try daemon.connect(as: 1001)
    try peer.resolve(.name("bert"), Self.map, Self.variables)
    let answer = try peer.answer()
    let reply = try peer.unpack(answer, unpackResolveReply)
    #expect(reply.checkpoint?.tensorCount == 1)
    #expect(reply.regions.map(\.isSealed) == [true])
    #expect(answer.files.count == 1)
  }

  @Test func `an answer with files, which another client got, is not for a client without files`()
    throws
  {
    try publish()
    let owner = try daemon.connect()
    try owner.resolve(passed.reference, Self.map, Self.variables, files: passed.files)
    #expect(try owner.answer().files.isEmpty)
    let peer = try daemon.connect(as: 1001)
    for _ in 0..<2 {
      try peer.resolve(.name("bert"), Self.map, Self.variables)
      #expect(try peer.answer().files.count == 1)
    }
    #expect(daemon.daemon.store.figures.counters.arenas == 1)
  }

  @Test func `a name serves lists, preloads and verifications`() throws {
    try publish()
    let peer = try daemon.connect(as: 1001)
    try peer.call(.list) { $0.begin(OpenRequest(.name("bert")), $1) }
    #expect(
      try peer.unpack(try peer.answer(), ListReply.init(unpacking:_:)).tensors.map(\.name) == ["a"])
    for readAgain in [false, true] {
      try peer.call(.preload) { frame, _ in
        var request = PreloadRequest(.name("bert"))
        request.readAgain = readAgain
        frame.begin(request)
      }
      var answer = try peer.answer()
      while answer.reply.more { answer = try peer.answer() }
      #expect(try peer.unpack(answer, PreloadReply.init(unpacking:_:)).tensorCount == 1)
    }
    #expect(daemon.daemon.store.figures.counters.arenas == 1)
  }

  @Test func `rules admit users by id and by group, and refuse others`() throws {
    // A peer's group has the number of its user here.
    try publish(users: [1001], groups: [1002])
    #expect(try open(as: 1001).reason == nil)
    #expect(try open(as: 1002).reason == nil)
    #expect(try open(as: 0).reason == nil)
    let refused = try open(as: 1003)
    // The kernel says that this process's own groups are the peer's.
    #expect(refused.reason == "NOT_ALLOWED")
    let message = try #require(refused.status?.message)
    #expect(message.hasPrefix("name:bert is not published for user "))
    #expect(message.hasSuffix(", who published it"))
  }

  @Test func `rules that would make a report too long are refused`() throws {
    let users = [UInt32](1...256)
    try publish(users: users)
    let administrator = try daemon.connect(.administration)
    let name = try PublishedName("other")
    for publication in [
      Publication(name, users: users, groups: [7]),
      Publication(name, users: [UInt32](repeating: 7, count: 2 << 20)),
    ] {
      try administrator.call(.pin, files: passed.files, features: ["names"]) {
        $0.begin(PinRequest(passed.reference, as: publication), $1)
      }
      let refused = try administrator.answer()
      #expect(refused.reason == "INVALID_REQUEST")
      #expect(refused.status?.message.contains("expected at most 256") == true)
    }
    #expect(daemon.daemon.store.names(for: nil, groups: { [] }).map(\.publication.users) == [users])
    try administrator.call(.status)
    #expect(try administrator.answer().reason == nil)
  }

  @Test func `unknown and malformed names are refused`() throws {
    try publish()
    #expect(try open("brt").reason == "CHECKPOINT_NOT_FOUND")
    #expect(try open("brt").status?.message.contains("nearest: name:bert") == true)
    #expect(try open("a/b").reason == "INVALID_REQUEST")
  }

  @Test func `a name moves at once, and the reply says what lost it`() throws {
    let first = try publish()
    #expect(first.replacedGeneration == "")
    #expect(
      logged(.loaded).first?.contains("loaded checkpoint /data/bert of 64 B for user ") == true)
    var writer = BundleWriter()
    writer.add("b", dtype: 1, [16], [UInt8](repeating: 0, count: 64))
    let other = try PassedFiles(
      try writer.write(to: directory.path, named: "other").prefix, label: "/data/other")
    let administrator = try daemon.connect(.administration)
    try administrator.call(.pin, files: other.files) {
      let name = try? PublishedName("bert")
      $0.begin(PinRequest(other.reference, as: name.map { Publication($0) }), $1)
    }
    let reply = try administrator.unpack(
      try administrator.answer(), PinReply.init(unpacking:_:))
    #expect(reply.replacedGeneration == first.checkpoint?.generation)
    #expect(reply.replacedLabel == "/data/bert")
    #expect(
      logged(.pinned).last?.hasSuffix(
        " pinned checkpoint /data/other as name:bert; checkpoint /data/bert, which had the name "
          + "before, is no longer pinned") == true)
  }

  @Test func `the log says which pins and names ended with others`() throws {
    let pinned = try publish("one")
    try publish("two")
    var writer = BundleWriter()
    writer.add("b", dtype: 1, [16], [UInt8](repeating: 0, count: 64))
    let other = try PassedFiles(
      try writer.write(to: directory.path, named: "other").prefix, label: "/data/other")
    let administrator = try daemon.connect(.administration)
    try administrator.call(.pin, files: other.files) {
      let name = try? PublishedName("one")
      $0.begin(PinRequest(other.reference, as: name.map { Publication($0) }), $1)
    }
    #expect(try administrator.answer().reason == nil)
    // The other name keeps the pin.
    #expect(logged(.pinned).last?.hasSuffix("before, is no longer published under it") == true)
    #expect(try unpublish("one") == nil)
    #expect(
      logged(.unpinned).last?.hasSuffix(
        " unpublished name:one; checkpoint /data/other is no longer pinned") == true)
    let generation = try #require(pinned.checkpoint?.generation)
    try administrator.call(.unpin) { frame, _ in
      frame.begin(GenerationRequest(generation: generation))
    }
    #expect(try administrator.answer().reason == nil)
    #expect(
      logged(.unpinned).last?.hasSuffix(
        " unpinned checkpoint /data/bert; it is no longer published as name:two") == true)
  }

  @Test func `status shows names to those who may use them, and rules to administrators`() throws {
    try publish(users: [1001])
    let seen = try daemon.connect(as: 1001).status().names
    #expect(seen.map(\.publication.name.text) == ["bert"])
    #expect(seen.map(\.publication.users) == [[]] && seen.map(\.label) == [""])
    #expect(try daemon.connect(as: 1002).status().names.isEmpty)
    let all = try daemon.connect(.administration).status().names
    #expect(all.map(\.publication.users) == [[1001]] && all.map(\.label) == ["/data/bert"])
  }

  @Test func `a name cannot be pinned or evicted, and ends with unpin`() throws {
    try publish()
    let administrator = try daemon.connect(.administration)
    try administrator.call(.pin) { $0.begin(PinRequest(.name("bert")), $1) }
    #expect(try administrator.answer().reason == "INVALID_REQUEST")
    try administrator.call(.evict) { frame, _ in frame.begin(GenerationRequest(name: "bert")) }
    #expect(try administrator.answer().reason == "INVALID_REQUEST")
    #expect(try unpublish() == nil)
    #expect(try unpublish() == "CHECKPOINT_NOT_FOUND")
    #expect(try open().reason == "CHECKPOINT_NOT_FOUND")
  }

  @Test func `a handle of a changed checkpoint is refused, and the log says once why`() throws {
    try publish()
    let peer = try daemon.connect(as: 1001)
    let handle = try peer.unpack(
      try peer.open([], .name("bert")), OpenReply.init(unpacking:_:)
    ).handle
    _ = try File(creating: FilePath(bundle.shards[0]))
    for _ in 0..<2 {
      try peer.resolve(.handle(handle), Self.map, Self.variables)
      let answer = try peer.answer()
      #expect(answer.reason == "CHECKPOINT_CHANGED")
      #expect(answer.status?.message.contains("warmstartctl pin --name bert") == true)
      #expect(try open().reason == "CHECKPOINT_CHANGED")
    }
    daemon.daemon.noteLostPins()
    daemon.daemon.noteLostPins()
    #expect(daemon.events.count { $0.kind == .changedOnDisk } == 1)
    let lost = daemon.events.filter { $0.kind == .nameLost }.map(\.text)
    #expect(lost.count == 1)
    #expect(lost.first?.contains("name:bert (/data/bert) cannot be used any more") == true)
  }
}
