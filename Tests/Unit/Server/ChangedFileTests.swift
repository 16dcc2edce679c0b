import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport

/// Files that change, or get and lose names, while they are open.
@Suite(.serialized, .descriptorsBalanced) struct ChangedFileTests {
  private let directory: TemporaryDirectory
  private let bundle: BundleWriter.Bundle
  private let peer: Peer
  private let handle: UInt64
  private let daemon: ServedDaemon

  init() throws {
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [64], [UInt8](repeating: 7, count: 64))
    bundle = try writer.write(to: directory.path)
    daemon = try ServedDaemon(lingerMilliseconds: 60_000)
    peer = try daemon.connect()
    handle = try peer.handle(PassedFiles(bundle.prefix))
    #expect(try resolve().status == nil)
  }

  private func resolve(_ options: ResolveRequest.Options = .init()) throws -> Peer.Answer {
    try peer.resolve(
      .handle(handle), ["a": "v"], [Variable("v", dtype: .uint8, shape: [64])], options)
    return try peer.answer()
  }

  @Test func `a file that was written and had its mtime set back is not granted`() throws {
    try QuietChange.flip(bundle.shards[0], at: 3)
    #expect(try resolve().reason == "CHECKPOINT_CHANGED")
  }

  @Test(arguments: [true, false])
  func `such a file is not granted if it also got or lost a name`(_ isLinked: Bool) throws {
    try QuietChange.flip(bundle.shards[0], at: 3)
    if isLinked {
      try QuietChange.link(bundle.shards[0], as: directory.path + "/other")
    } else {
      try TemporaryDirectory.remove(bundle.shards[0])
    }
    // The file is opened again, and read.
    #expect(try resolve().reason == "CHECKSUM_MISMATCH")
    #expect(try resolve().reason == "CHECKSUM_MISMATCH")
  }

  @Test(arguments: [0, 1])
  func `a file that only got or lost a name is granted, and read again`(_ position: Int) throws {
    let verified = try count("runs_verified")
    let path = position == 0 ? bundle.index : bundle.shards[0]
    try QuietChange.link(path, as: directory.path + "/other")
    #expect(try resolve().status == nil)
    // The index is in memory, so only the data is read again.
    let again = position
    #expect(try count("runs_verified") == verified + again)
    try TemporaryDirectory.remove(path)
    #expect(try resolve().status == nil)
    #expect(try count("runs_verified") == verified + 2 * again)
    #expect(try peer.close(handle).status == nil)
  }

  @Test func `a request to read again reads again`() throws {
    let verified = try count("runs_verified")
    #expect(try resolve().status == nil)
    #expect(try count("runs_verified") == verified)
    var options = ResolveRequest.Options()
    options.readAgain = true
    for number in 1...2 {
      #expect(try resolve(options).status == nil)
      #expect(try count("runs_verified") == verified + number)
    }
  }

  @Test func `damage that changes no file time is found by reading again, and then refused`() throws
  {
    // A store to a page of a mapping that is dirty already leaves the file's times alone.
    let page = try DirtyPage(bundle.shards[0], storing: 7)
    let fresh = try daemon.connect()
    let opened = try fresh.handle(PassedFiles(bundle.prefix))
    func resolve(_ options: ResolveRequest.Options) throws -> Peer.Answer {
      try fresh.resolve(
        .handle(opened), ["a": "v"], [Variable("v", dtype: .uint8, shape: [64])], options)
      return try fresh.answer()
    }
    #expect(try resolve(.init()).status == nil)
    page.store(8)
    // Nothing shows the change: `sealed` is for clients that cannot trust a file's owner.
    #expect(try resolve(.init()).status == nil)
    var options = ResolveRequest.Options()
    options.readAgain = true
    #expect(try resolve(options).reason == "CHECKSUM_MISMATCH")
    options.readAgain = false
    options.alignment = 1
    #expect(try resolve(options).reason == "CHECKSUM_MISMATCH")
  }

  private func count(_ name: String) throws -> Int {
    try #require(daemon.connect().status().counters.first { $0.name == name }?.value)
  }
}
