import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// A checkpoint that was written for a test and opened as the daemon opens it.
struct Opened {
  let directory: TemporaryDirectory
  let bundle: BundleWriter.Bundle
  let files: FileSet
  let checkpoint: Checkpoint

  /// Writes a checkpoint, lets the test damage it, and opens it, without some of its shards.
  init(
    _ writer: BundleWriter, without missing: Set<Int> = [],
    damage: (BundleWriter.Bundle) throws -> Void = { _ in }
  ) throws {
    directory = try TemporaryDirectory()
    bundle = try writer.write(to: directory.path)
    try damage(bundle)
    files = try FileSet(opening: bundle, without: missing)
    checkpoint = try Checkpoint.read(files)
  }

  /// The same checkpoint, read through files that were opened later.
  init(_ other: Opened, _ files: FileSet) {
    directory = other.directory
    bundle = other.bundle
    self.files = files
    checkpoint = other.checkpoint
  }

  /// Writes and opens a V1 checkpoint.
  init(
    _ writer: SavedSlicesWriter, damage: (BundleWriter.Bundle) throws -> Void = { _ in }
  ) throws {
    let directory = try TemporaryDirectory()
    let tables = try writer.write(to: directory.path)
    let bundle = BundleWriter.Bundle(
      prefix: "\(directory.path)/model-*", index: tables[0], shards: tables, entries: [:])
    try damage(bundle)
    try self.init(tables: bundle, in: directory)
  }

  /// Opens the tables of a V1 checkpoint.
  init(tables bundle: BundleWriter.Bundle, in directory: TemporaryDirectory) throws {
    self.directory = directory
    self.bundle = bundle
    files = try FileSet(
      bundle.shards.map { (FileRole.whole, try File(opening: FilePath($0))) }, openedBy: 1000)
    checkpoint = try Checkpoint.read(files) { _ in }
  }

  func tensor(_ name: String) throws -> Int {
    try #require(checkpoint.catalog.position(of: Name(name)))
  }

  func placement(
    _ name: String, _ slice: TensorSlice? = nil, gather: Gather? = nil, view: View = View(),
    _ options: PlacementOptions = PlacementOptions()
  ) throws -> Placement {
    try checkpoint.placement(
      of: try tensor(name), slice, gather: gather, view: view, options, in: files)
  }

  /// The bytes that a client gets, dense and in C order, from a file or an arena.
  func bytes(
    _ name: String, _ slice: TensorSlice? = nil, gather: Gather? = nil, view: View = View(),
    _ options: PlacementOptions = PlacementOptions(), isHuge: Bool = true,
    checkIn: @escaping () throws(Problem) -> Void = {}
  ) throws -> [UInt8] {
    let tensor = try tensor(name)
    var loading = Loading(checkpoint, files, checkIn: checkIn)
    switch try checkpoint.placement(
      of: tensor, slice, gather: gather, view: view, options, in: files)
    {
    case .file(let stored, let offset, let byteCount, let strides):
      var none = Arena()
      try loading.load(verifying: [(stored, tensor)], filling: [], of: &none)
      guard byteCount > 0 else { return [] }
      let file = try #require(
        files.position(ofShard: checkpoint.stored[stored].shard, of: checkpoint.shardCount))
      return try self.gather(
        files.members[file].file, offset, byteCount, strides, checkpoint.shape(of: tensor, slice),
        width: checkpoint.catalog.dtype(tensor).byteCount ?? 1)
    case .piece(let piece):
      let count = try loading.byteCount(of: piece)
      var arena = try Arena(
        named: "test", byteCount: piece.alignment + max(1, count), isHuge: isHuge)
      let target = Loading.Target(piece: piece, offset: piece.alignment, byteCount: count)
      try loading.load(verifying: [], filling: [target], of: &arena)
      let span = arena.bytes
      let all = Array(span.bytes)
      #expect(all[..<piece.alignment].allSatisfy { $0 == 0 }, "written before the piece")
      return Array(all[piece.alignment..<piece.alignment + count])
    }
  }

  /// The strings that a client gets.
  func strings(_ name: String, _ slice: TensorSlice? = nil) throws -> [[UInt8]] {
    let count = try #require(checkpoint.shape(of: try tensor(name), slice).elementCount)
    let bytes = try bytes(name, slice)
    func offset(_ index: Int) -> Int {
      (0..<8).reduce(0) { $0 | Int(bytes[index * 8 + $1]) << (8 * $1) } + (count + 1) * 8
    }
    #expect(offset(count) == bytes.count)
    return (0..<count).map { Array(bytes[offset($0)..<offset($0 + 1)]) }
  }

  private func gather(
    _ file: File, _ offset: Int, _ byteCount: Int, _ strides: [Int], _ shape: Shape, width: Int
  ) throws -> [UInt8] {
    var starts = [offset]
    for (length, stride) in zip(shape.lengths, strides) {
      starts = starts.flatMap { start in (0..<length).map { start + $0 * stride } }
    }
    var bytes: [UInt8] = []
    for start in starts {
      let count = strides.isEmpty ? byteCount : width
      var run = [UInt8](repeating: 0, count: count)
      #expect(try file.read(at: start, into: &run, range: 0..<count) == count)
      bytes += run
    }
    return bytes
  }
}

extension FileSet {
  /// Opens the files of a checkpoint again.
  init(opening bundle: BundleWriter.Bundle, without missing: Set<Int> = []) throws {
    var files: [(role: FileRole, file: File)] = [
      (.index, try File(opening: FilePath(bundle.index)))
    ]
    for (shard, path) in bundle.shards.enumerated() where !missing.contains(shard) {
      let file = try File(opening: FilePath(path))
      files.append((.shard(shard, of: bundle.shards.count), file))
    }
    try self.init(files, openedBy: 1000)
  }
}

/// Little-endian numbers, for tensors whose bytes do not matter but differ.
func floats(_ count: Int) -> [UInt8] {
  (0..<count).flatMap { index in
    let bits = Float(index).bitPattern
    return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
  }
}
