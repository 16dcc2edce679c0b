import FoundationEssentials
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartLocate
import WarmstartTensorModel

@Suite struct LocateTests {
  @Test func `the latest of very many checkpoints is found, whatever their order`() throws {
    let scratch = try Scratch()
    for number in 1...9000 { try scratch.write("m-\(number).index") }
    let missing = try refusal(of: scratch("m"))
    #expect("\(missing)".hasSuffix("'\(scratch("m-9000"))' is the latest there"))
    let unnamed = try refusal(of: scratch(""))
    #expect("\(unnamed)".hasSuffix("such as '\(scratch("m-9000"))'"))
  }

  @Test(arguments: [
    ("v2_sharded/model", 3), ("demo/model.ckpt-1000", 2), ("v2 path with spaces/mödel ckpt", 1),
    ("v2_plain_ref/model.ckpt-1000", 1),
  ])
  func `a prefix leads to its index and its shards`(prefix: String, total: Int) throws {
    let path = Golden.path(prefix)
    let files = try CheckpointFiles.locate(path)
    #expect(files.hasIndex)
    #expect(files.prefix == path)
    #expect(files.opened.map(\.role) == [.index])
    #expect(files.opened.map(\.path) == [FilePath("\(path).index")])
    #expect(files.totals == [total])
    let shards = try files.openShards(total: total)
    #expect(shards.map(\.role) == (0..<total).map { .shard($0, of: total) })
    #expect(
      shards.map(\.path.string) == (0..<total).map { "\(path).data-0000\($0)-of-0000\(total)" })
    for part in files.opened + shards {
      #expect(try part.file.isReadOnly())
      #expect(try part.file.status().isRegular)
    }
  }

  @Test func `V1 files are found by name and by pattern`() throws {
    let plain = try CheckpointFiles.locate(Golden.path("v1_plain/model.ckpt-5"))
    #expect(!plain.hasIndex)
    #expect(plain.opened.map(\.path.string) == [Golden.path("v1_plain/model.ckpt-5")])
    #expect(plain.totals.isEmpty)
    let pattern = Golden.path("v1_sharded/model-?????-of-00002")
    let sharded = try CheckpointFiles.locate(pattern)
    #expect(sharded.prefix == pattern)
    #expect(sharded.opened.map(\.role) == [.whole, .whole])
    #expect(
      try CheckpointFiles.locate(Golden.path("v1_sharded/model-00001-of-00002")).opened.count == 1)
  }

  @Test func `a relative path starts at the working directory`() throws {
    let depth = FilePath(FileManager.default.currentDirectoryPath).components.count
    let up = String(repeating: "../", count: depth)
    let directory = up + Golden.path("state_relative").dropFirst()
    let files = try CheckpointFiles.locate(directory)
    #expect(files.prefix == "\(directory)/m-3")
    #expect(files.totals == [1])
    #expect(try CheckpointFiles.locate("\(directory)/m-2").opened.count == 1)
    let pattern = up + Golden.path("v1_sharded/model-*").dropFirst()
    #expect(try CheckpointFiles.locate(pattern).opened.count == 2)
  }

  @Test func `a link leads to the files behind it`() throws {
    let scratch = try Scratch()
    try scratch.write("blobs/1", "blobs/2", "snapshot/x")
    let links = [("m.index", "../blobs/1"), ("m.data-00000-of-00001", "../blobs/2")]
    for (name, target) in links {
      try FileManager.default.createSymbolicLink(
        atPath: scratch("snapshot/\(name)"), withDestinationPath: target)
    }
    let files = try CheckpointFiles.locate(scratch("snapshot/m"))
    #expect(
      try files.openShards(total: 1).map(\.path.string) == [scratch("snapshot/\(links[1].0)")])
  }

  // MARK: Shards

  @Test func `a missing shard is left out`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index", "m.data-00002-of-00003", "m.data-00000-of-00003")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(files.totals == [3])
    #expect(try files.openShards(total: 3).map(\.role) == [.shard(0, of: 3), .shard(2, of: 3)])
    try FileManager.default.removeItem(atPath: scratch("m.data-00000-of-00003"))
    #expect(try files.openShards(total: 3).map(\.role) == [.shard(2, of: 3)])
  }

  @Test func `shards with several totals are told apart`() throws {
    let scratch = try Scratch()
    try scratch.write(
      "m.index", "m.data-00000-of-00001", "m.data-00000-of-00002", "m.data-00001-of-00002")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(files.totals == [1, 2])
    #expect(try files.openShards(total: 1).count == 1)
    #expect(try files.openShards(total: 2).map(\.role) == [.shard(0, of: 2), .shard(1, of: 2)])
    #expect(try files.openShards(total: 7).isEmpty)
  }

  @Test func `numbers may have more than five digits`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index", "m.data-00007-of-123456", "m.data-123455-of-123456")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(files.totals == [123_456])
    #expect(try files.openShards(total: 123_456).count == 2)
  }

  @Test func `a directory in a shard's place is refused`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index", "m.data-00000-of-00001/x")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(throws: LocateError.notRegular(path: scratch("m.data-00000-of-00001"))) {
      try files.openShards(total: 1)
    }
    #expect(try files.openShards(total: 1, leavingOutUnusable: true).isEmpty)
  }

  // MARK: Refusals

  @Test func `a loop of links is the system's error`() throws {
    let scratch = try Scratch()
    try FileManager.default.createSymbolicLink(
      atPath: scratch("m.index"), withDestinationPath: "m.index")
    #expect(throws: LocateError.system(path: scratch("m.index"), .tooManySymbolicLinkLevels)) {
      try CheckpointFiles.locate(scratch("m"))
    }
  }

  @Test func `no descriptor outlives what was found`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index", "m.data-00000-of-00001", "v1-1", "v1-2", "x/y")
    try scratch.writeState("model_checkpoint_path: 'm'")
    do {
      let files = try CheckpointFiles.locate(scratch.path)
      let shards = try files.openShards(total: 1)
      #expect(try scratch.openFiles().count == files.opened.count + shards.count)
      #expect(try CheckpointFiles.locate(scratch("v1-*")).opened.count == 2)
    }
    for name in ["none", "*", "m.data-00000-of-00001", "x", "v*"] {
      _ = try? CheckpointFiles.locate(scratch(name))
    }
    #expect(try scratch.openFiles().isEmpty)
  }
}
