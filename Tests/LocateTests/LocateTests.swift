import FoundationEssentials
import Kernel
import Locate
import SystemPackage
import Testing

@Suite struct LocateTests {
  @Test(arguments: [
    ("v2_sharded/model", 3), ("demo/model.ckpt-1000", 2), ("v2 path with spaces/mödel ckpt", 1),
    ("v2_plain_ref/model.ckpt-1000", 1),
  ])
  func `a prefix leads to its index and its shards`(prefix: String, total: Int) throws {
    let path = Golden.path(prefix)
    let files = try CheckpointFiles.locate(path)
    #expect(files.format == .v2)
    #expect(files.prefix == path)
    #expect(files.opened.map(\.role) == [.index])
    #expect(files.opened.map(\.path) == [FilePath("\(path).index")])
    #expect(files.soleTotal == total)
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
    #expect(plain.format == .v1)
    #expect(plain.opened.map(\.path.string) == [Golden.path("v1_plain/model.ckpt-5")])
    #expect(plain.totals.isEmpty)
    let pattern = Golden.path("v1_sharded/model-?????-of-00002")
    let sharded = try CheckpointFiles.locate(pattern)
    #expect(sharded.prefix == pattern)
    #expect(sharded.opened.map(\.role) == [.table, .table])
    #expect(
      try CheckpointFiles.locate(Golden.path("v1_sharded/model-00001-of-00002")).opened.count == 1)
  }

  @Test func `an index is understood as its prefix`() throws {
    let prefix = Golden.path("v2_tiles/t")
    #expect(try CheckpointFiles.locate("\(prefix).index").prefix == prefix)
    let scratch = try Scratch()
    try scratch.write("m.index.index", "m.index")
    #expect(try CheckpointFiles.locate(scratch("m.index")).prefix == scratch("m.index"))
  }

  @Test func `a file URI is its path`() throws {
    let prefix = Golden.path("v2 path with spaces/mödel ckpt")
    #expect(try CheckpointFiles.locate("file://\(prefix)").prefix == prefix)
    #expect(try CheckpointFiles.locate("file://localhost\(prefix)").prefix == prefix)
    let directory = Golden.path("state_relative")
    #expect(try CheckpointFiles.locate("file://\(directory)").prefix == "\(directory)/m-3")
    for elsewhere in ["gs:/\(prefix)", "file://other\(prefix)", "file:\(prefix)"] {
      #expect(throws: LocateError.self) { try CheckpointFiles.locate(elsewhere) }
    }
  }

  @Test func `a relative path starts at the working directory`() throws {
    let depth = FilePath(FileManager.default.currentDirectoryPath).components.count
    let up = String(repeating: "../", count: depth)
    let directory = up + Golden.path("state_relative").dropFirst()
    let files = try CheckpointFiles.locate(directory)
    #expect(files.prefix == "\(directory)/m-3")
    #expect(files.soleTotal == 1)
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
    #expect(files.soleTotal == 3)
    #expect(try files.openShards(total: 3).map(\.role) == [.shard(0, of: 3), .shard(2, of: 3)])
    try FileManager.default.removeItem(atPath: scratch("m.data-00000-of-00003"))
    #expect(try files.openShards(total: 3).map(\.role) == [.shard(2, of: 3)])
  }

  @Test func `several totals are told apart`() throws {
    let scratch = try Scratch()
    try scratch.write(
      "m.index", "m.data-00000-of-00001", "m.data-00000-of-00002", "m.data-00001-of-00002")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(files.totals == [1, 2])
    #expect(files.soleTotal == nil)
    #expect(try files.openShards(total: 1).count == 1)
    #expect(try files.openShards(total: 2).map(\.role) == [.shard(0, of: 2), .shard(1, of: 2)])
    #expect(try files.openShards(total: 7).isEmpty)
  }

  @Test func `only names that TensorFlow opens are shards`() throws {
    let scratch = try Scratch()
    try scratch.write(
      "m.index", "m.data-00000-of-00001.tempstate123", "m.data-0-of-1", "m.data-000000-of-000001",
      "m.data-00001-of-00001", "m.data-00000-of-00000", "m.data-+0000-of-00001",
      "m.data-00000-of-0000x", "m.data-00000-on-00001", "m.data-99999999999999999999-of-00001",
      "mm.data-00000-of-00001", "n.data-00000-of-00001", "m_temp/part-00000-of-00001.index")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(files.totals.isEmpty)
    #expect(files.soleTotal == nil)
  }

  @Test func `numbers may have more than five digits`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index", "m.data-00007-of-123456", "m.data-123455-of-123456")
    let files = try CheckpointFiles.locate(scratch("m"))
    #expect(files.soleTotal == 123_456)
    #expect(try files.openShards(total: 123_456).count == 2)
  }

  @Test func `names that only look alike are different names`() throws {
    let scratch = try Scratch()
    let (composed, decomposed) = ("m\u{F6}", "mo\u{308}")
    try scratch.write("\(composed).index", "\(decomposed).data-00000-of-00001")
    #expect(try CheckpointFiles.locate(scratch(composed)).totals.isEmpty)
    #expect(throws: LocateError.self) { try CheckpointFiles.locate(scratch(decomposed)) }
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

  @Test(arguments: ["none", "none/none", "file/none", "", "dir/", "file/", "dir\0"])
  func `nothing there is said so`(name: String) throws {
    let scratch = try Scratch()
    try scratch.write("file")
    let path = name.isEmpty ? "" : scratch(name)
    #expect(throws: LocateError.notFound(path: path, hint: nil)) {
      try CheckpointFiles.locate(path)
    }
    #expect(LocateError.notFound(path: path, hint: nil).kind == .checkpointNotFound)
  }

  @Test(arguments: ["gs://b/m", "s3://b/m", "hdfs://host:9/m", "s3://"])
  func `what is not on this machine is said to be elsewhere`(path: String) throws {
    let error = try refusal(of: path)
    #expect(error == .notLocal(path: path))
    #expect(error.description.contains("only local files can be shared"))
  }

  @Test(arguments: ["file://host/m", "gs:/b/m", "://m", "C://m", "a b://m"])
  func `what only looks like an object store is not there`(path: String) throws {
    #expect(try refusal(of: path) == .notFound(path: path, hint: nil))
  }

  @Test func `an empty path and one that ends in a slash are not called prefixes`() throws {
    #expect(try refusal(of: "").description == "the checkpoint's path is empty")
    #expect(try refusal(of: "/nowhere/").description == "no directory '/nowhere/'")
  }

  @Test(arguments: ["m-1.data-00000-of-00001", "m-1.meta", "m.data-x.data-00001-of-00002"])
  func `a part of a checkpoint is not the checkpoint`(name: String) throws {
    let scratch = try Scratch()
    let prefix = name.hasPrefix("m-1") ? "m-1" : "m.data-x"
    for _ in 1...2 {
      let error = try refusal(of: scratch(name))
      #expect(error.kind == .checkpointNotFound)
      #expect(error.description.contains("name the prefix '\(scratch(prefix))'"))
      // The second time the file is there.
      try scratch.write(name)
    }
  }

  @Test(arguments: [
    ("m.data-00000-of-00001", "index is not"), ("m-00000-of-00002", "m-?????-of-00002"),
  ])
  func `what lies beside the path is hinted at`(name: String, hint: String) throws {
    let scratch = try Scratch()
    try scratch.write(name)
    let error = try refusal(of: scratch("m"))
    #expect(error.description.contains(hint))
  }

  @Test func `a FIFO in a checkpoint's place is refused at once`() throws {
    let scratch = try Scratch()
    scratch.makeFIFO("m.index")
    scratch.makeFIFO("v1")
    #expect(throws: LocateError.notRegular(path: scratch("m.index"))) {
      try CheckpointFiles.locate(scratch("m"))
    }
    #expect(throws: LocateError.notRegular(path: scratch("v1"))) {
      try CheckpointFiles.locate(scratch("v1"))
    }
  }

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
