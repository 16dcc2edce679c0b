import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// Which sets of files are the same checkpoint, and files that change during a read.
@Suite struct GenerationTests {
  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4], floats(4))
    writer.add("b", dtype: 1, [400_000], [UInt8](repeating: 7, count: 1_600_000), in: 1)
    return writer
  }

  @Test func `the same files through other descriptors are the same generation`() throws {
    let opened = try Opened(Self.writer)
    let again = try FileSet(opening: opened.bundle)
    #expect(again.generation == opened.files.generation)
    #expect(again.generation.description == opened.files.generation.description)
    #expect(opened.files.generation.description.count == 16)
  }

  @Test func `a write in place makes another generation, of the index and of a shard`() throws {
    let opened = try Opened(Self.writer)
    var seen: Set = [opened.files.generation]
    for path in [opened.bundle.index] + opened.bundle.shards {
      try settle()
      try BundleFile.flip(path, at: 3)
      #expect(seen.insert(try FileSet(opening: opened.bundle).generation).inserted)
    }
  }

  @Test func `renaming a directory does not change the generation`() throws {
    let opened = try Opened(Self.writer)
    let other = opened.directory.path + "-moved"
    try TemporaryDirectory.move(opened.directory.path, to: other)
    defer { try? TemporaryDirectory.move(other, to: opened.directory.path) }
    let moved = BundleWriter.Bundle(opened.bundle, in: other)
    #expect(try FileSet(opening: moved).generation == opened.files.generation)
  }

  @Test func `a file that lost its name is opened again, and read as before`() throws {
    let opened = try Opened(Self.writer)
    var writer = Self.writer
    writer.change("a") { $0.checksum = 0 }
    let other = try writer.write(to: opened.directory.path, named: "other")
    try TemporaryDirectory.remove(opened.bundle.shards[0])
    try TemporaryDirectory.move(other.shards[0], to: opened.bundle.shards[0])
    // A user who removed its name could also have written to it and set mtime back.
    #expect(throws: Problem.self) { try opened.bytes("a") }
    #expect(opened.files.areOnlyRelinked)
    let again = try FileSet(opened.files.members.map { ($0.role, $0.file) }, openedBy: 1000)
    #expect(again.generation != opened.files.generation)
    var loading = Loading(opened.checkpoint, again) {}
    var none = Arena()
    try loading.load(verifying: [(0, 0)], filling: [], of: &none)
    #expect(try FileSet(opening: opened.bundle).generation != opened.files.generation)
  }

  @Test func `the order and the roles of files are part of the generation`() throws {
    let opened = try Opened(Self.writer)
    let index = (role: FileRole.index, file: try file(opened.bundle.index))
    let shards = try opened.bundle.shards.map { try file($0) }
    func generation(_ files: [(role: FileRole, file: File)]) throws -> Generation {
      try FileSet(files, openedBy: 1).generation
    }
    let usual = try generation([
      index, (.shard(0, of: 2), shards[0]), (.shard(1, of: 2), shards[1]),
    ])
    #expect(usual == opened.files.generation)
    let swapped = try generation([
      index, (.shard(1, of: 2), shards[0]), (.shard(0, of: 2), shards[1]),
    ])
    #expect(usual != swapped)
    #expect(try generation([index, (.shard(0, of: 2), shards[0])]) != usual)
    #expect(
      try generation([index, (.shard(1, of: 2), shards[1]), (.shard(0, of: 2), shards[0])]) != usual
    )
  }

  @Test func `files that do not make up a checkpoint are refused`() throws {
    let opened = try Opened(Self.writer)
    let (index, shard) = (try file(opened.bundle.index), try file(opened.bundle.shards[0]))
    func reason(_ files: [(role: FileRole, file: File)]) -> Reason? {
      #expect(throws: Problem.self) { try FileSet(files, openedBy: 1) }?.reason
    }
    #expect(reason([]) == .invalidRequest)
    #expect(reason([(.shard(0, of: 1), shard)]) == .invalidRequest)
    #expect(reason([(.index, index), (.index, index)]) == .invalidRequest)
    #expect(
      reason([(.index, index), (.shard(0, of: 1), shard), (.shard(0, of: 1), shard)])
        == .invalidRequest)
    #expect(reason([(.whole, shard), (.shard(0, of: 1), shard)]) == .invalidRequest)
    #expect(reason([(.index, try file(opened.directory.path))]) == .notAllowed)
    #expect(reason([(.index, try file("/dev/null"))]) == .notAllowed)
    let writable = try File(creating: FilePath(opened.directory.path + "/writable"))
    #expect(reason([(.index, writable)]) == .notAllowed)
  }

  // MARK: Changes while reading

  @Test func `an index that changed after it was passed is reported as changed`() throws {
    let opened = try Opened(Self.writer)
    try settle()
    try BundleFile.flip(opened.bundle.index, at: 3)
    let problem = #expect(throws: Problem.self) { try Checkpoint.read(opened.files) }
    #expect(problem?.reason == .checkpointChanged)
  }

  @Test(arguments: [false, true])
  func `a shard that changes during a load is reported as changed`(_ truncating: Bool) throws {
    let opened = try Opened(Self.writer)
    try settle()
    let shard = opened.bundle.shards[1]
    var chunks = 0
    var loading = Loading(opened.checkpoint, opened.files) { () throws(Problem) in
      chunks += 1
      guard chunks == 2 else { return }
      do {
        if truncating {
          try BundleFile.truncate(shard, to: 100)
        } else {
          try BundleFile.overwrite(shard, at: 1_500_000, [1])
        }
      } catch {
        throw Problem(.system, "\(error)")
      }
    }
    var none = Arena()
    do throws(Problem) {
      try loading.load(verifying: [(1, 1)], filling: [], of: &none)
      Issue.record("loaded")
    } catch {
      #expect(error.reason == .checkpointChanged, "\(error)")
    }
    #expect(chunks >= 2)
  }

  @Test func `bytes that were changed and changed back during a load are refused`() throws {
    let opened = try Opened(Self.writer)
    try settle()
    var loading = Loading(opened.checkpoint, opened.files) { () throws(Problem) in
      do { try BundleFile.overwrite(opened.bundle.shards[1], at: 0, [7]) } catch {
        throw Problem(.system, "\(error)")
      }
    }
    var none = Arena()
    do throws(Problem) {
      try loading.load(verifying: [(1, 1)], filling: [], of: &none)
      Issue.record("loaded")
    } catch {
      #expect(error.reason == .checkpointChanged, "\(error)")
    }
  }

  @Test func `a load stops when no call waits for it`() throws {
    let opened = try Opened(Self.writer)
    var chunks = 0
    var loading = Loading(opened.checkpoint, opened.files) { () throws(Problem) in
      chunks += 1
      if chunks == 2 { throw Problem(.cancelled, "gone") }
    }
    var none = Arena()
    do throws(Problem) {
      try loading.load(verifying: [(0, 0), (1, 1)], filling: [], of: &none)
      Issue.record("loaded")
    } catch {
      #expect(error.reason == .cancelled)
    }
    #expect(chunks == 2)
  }

  @Test func `no file stays open after its set of files`() throws {
    let directory = try TemporaryDirectory()
    let bundle = try Self.writer.write(to: directory.path)
    func open() throws -> Int {
      let files = try FileSet(opening: bundle)
      _ = try Checkpoint.read(files)
      return files.members.count
    }
    #expect(try open() == 3)
    #expect(try directory.openFiles() == [])
  }

  // MARK: Size

  @Test func `an index of 100,000 tensors takes memory in proportion to its file`() async {
    // In a process of its own, since other tests' memory would count.
    await #expect(processExitsWith: .success) {
      var writer = BundleWriter()
      var entry = BundleWriter.Entry()
      (entry.dtype, entry.shape, entry.byteCount, entry.checksum) = (1, [1000, 10], 40000, 1)
      for number in 0..<100_000 {
        entry.offset = number * 40000
        writer.insert(.init("model/layer_\(100_000 + number)/attention/kernel"), entry)
      }
      let index = writer.index()
      let before = try Process.residentByteCount()
      let checkpoint = try BundleReader.parse(index)
      let grown = try Process.residentByteCount() - before
      #expect(checkpoint.catalog.count == 100_000)
      #expect(checkpoint.memoryByteCount > 100_000 * 60)
      // The estimate must cover the actual memory, or the budget would mean nothing.
      #expect(checkpoint.memoryByteCount < 6 * index.count)
      // AddressSanitizer keeps what was freed for a while.
      #expect(grown < 6 * index.count + (64 << 20), "\(grown) for \(index.count)")
    }
  }

  /// Waits until the clock of file times has moved on.
  private func settle() throws {
    let directory = try TemporaryDirectory()
    func stamp(_ name: String) throws -> Int64 {
      try File(creating: FilePath("\(directory.path)/\(name)")).status().modified
    }
    let first = try stamp("first")
    while try stamp("next") == first {}
  }

  private func file(_ path: String) throws -> File { try File(opening: FilePath(path)) }
}

extension BundleWriter.Bundle {
  /// The same files in a directory that was renamed.
  fileprivate init(_ bundle: BundleWriter.Bundle, in directory: String) {
    func moved(_ path: String) -> String {
      "\(directory)/\(FilePath(path).lastComponent?.string ?? "")"
    }
    self.init(
      prefix: moved(bundle.prefix), index: moved(bundle.index), shards: bundle.shards.map(moved),
      entries: bundle.entries)
  }
}
