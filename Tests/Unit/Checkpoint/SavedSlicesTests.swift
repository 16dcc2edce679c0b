import Foundation
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// V1 checkpoints: what their tables list, and what their records hold.
@Suite struct SavedSlicesTests {
  typealias Extent = SavedSlicesWriter.Extent
  typealias Values = SavedSlicesWriter.Values

  /// A checkpoint of one tensor `x` in one slice.
  private func writer(
    _ values: Values?, dtype: Int = 3, shape: [Int] = [3], extents: [Extent]? = nil
  ) -> SavedSlicesWriter {
    var writer = SavedSlicesWriter()
    writer.add("x", dtype: dtype, shape, [(extents ?? shape.map { _ in .whole }, values)])
    return writer
  }

  private func refusal(_ body: () throws -> Void) -> Problem? {
    #expect(throws: Problem.self, performing: body)
  }

  // MARK: Numbers

  /// A type, the field of its values, and its elements as stored and as expected.
  struct Numbers: Sendable, CustomTestStringConvertible {
    let dtype: Int
    let field: Int
    let numbers: [Int]
    let width: Int

    var bytes: [UInt8] {
      numbers.flatMap { number in
        (0..<width).map { UInt8(truncatingIfNeeded: number >> (8 * min($0, 7))) }
      }
    }

    var testDescription: String { "dtype \(dtype)" }
  }

  @Test(
    arguments: [
      Numbers(dtype: 3, field: 7, numbers: [1, -2, Int(Int32.min)], width: 4),
      Numbers(dtype: 4, field: 7, numbers: [0, 7, 255], width: 1),
      Numbers(dtype: 5, field: 7, numbers: [-32768, 0, 32767], width: 2),
      Numbers(dtype: 6, field: 7, numbers: [-128, -1, 127], width: 1),
      Numbers(dtype: 9, field: 10, numbers: [.min, -1, .max], width: 8),
      Numbers(dtype: 10, field: 11, numbers: [1, 0, 1], width: 1),
      Numbers(dtype: 11, field: 7, numbers: [-128, 0, 127], width: 1),
      Numbers(dtype: 12, field: 7, numbers: [0, 1, 255], width: 1),
      Numbers(dtype: 13, field: 7, numbers: [Int(Int32.min), 0, 5], width: 4),
      Numbers(dtype: 17, field: 7, numbers: [0, 40000, 65535], width: 2),
      Numbers(dtype: 19, field: 13, numbers: [0x3c00, 0, 0xc000], width: 2),
    ], [true, false])
  func `varints are read, packed or not`(_ numbers: Numbers, isPacked: Bool) throws {
    let values = Values.varints(numbers.field, numbers.numbers, isPacked: isPacked)
    let opened = try Opened(writer(values, dtype: numbers.dtype))
    #expect(try opened.bytes("x") == numbers.bytes)
  }

  @Test(
    arguments: [(1, 5, 4, 4), (2, 6, 8, 8), (8, 9, 4, 8), (18, 12, 8, 16)], [true, false])
  func `floats are read, packed or not`(
    _ type: (dtype: Int, field: Int, width: Int, byteCount: Int), isPacked: Bool
  ) throws {
    let bytes = (0..<3 * type.byteCount).map { UInt8($0) }
    let values = Values.fixed(type.field, bytes, width: type.width, isPacked: isPacked)
    let opened = try Opened(writer(values, dtype: type.dtype))
    #expect(try opened.bytes("x") == bytes)
  }

  @Test func `packed and unpacked values of one record follow each other`() throws {
    let values = Values(
      raw: Values.varints(7, [1]).bytes + Values.varints(7, [2], isPacked: false).bytes
        + Values.varints(7, [3]).bytes)
    #expect(try Opened(writer(values)).bytes("x") == [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])
  }

  @Test(arguments: [[], [1, 2], [1, 2, 3, 4]])
  func `values that differ from the elements in number are refused`(_ numbers: [Int]) throws {
    let opened = try Opened(writer(.varints(7, numbers)))
    let problem = refusal { _ = try opened.bytes("x") }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.tensor == "x")
    #expect(problem?.message.contains("expected 3 elements of dtype int32") == true)
  }

  @Test func `a million values for three elements take no more memory`() async {
    await #expect(processExitsWith: .success) {
      var writer = SavedSlicesWriter()
      let million = Array(repeating: 0, count: 4 << 20)
      writer.add("x", dtype: 9, [3], .varints(10, million))
      let opened = try Opened(writer)
      try ProcessMemory.forgetPeak()
      let before = try ProcessMemory.byteCount("VmRSS")
      #expect(throws: Problem.self) { try opened.bytes("x") }
      // The block itself, and its copy; not eight bytes for each.
      #expect(try ProcessMemory.byteCount("VmHWM") - before < 20 << 20)
    }
  }

  @Test func `values of another type's field do not count`() throws {
    let opened = try Opened(writer(.varints(10, [1, 2, 3])))
    #expect(refusal { _ = try opened.bytes("x") }?.reason == .corrupt)
  }

  @Test func `a table that was rewritten is not mistaken for the old one, whatever its dtypes`()
    throws
  {
    func writer(_ number: UInt8) -> SavedSlicesWriter {
      var writer = SavedSlicesWriter()
      writer.add("s", dtype: DTypes.string, [1], Values.strings([[number]]))
      writer.add("n", dtype: 3, [1], Values.varints(7, [Int(number)]))
      return writer
    }
    for name in ["s", "n"] {
      let opened = try Opened(writer(1))
      // Past the next tick of the clock for file times.
      usleep(20_000)
      try BundleFile.overwrite(opened.bundle.shards[0], at: 0, writer(2).tables()[0])
      let problem = #expect(throws: Problem.self) { try opened.bytes(name) }
      #expect(problem?.reason == .checkpointChanged)
    }
  }

  @Test func `strings in many pieces are held once, and their room is charged`() throws {
    let count = 256
    var writer = SavedSlicesWriter()
    let values = (0..<count).map { [UInt8](repeating: UInt8($0), count: 8192) }
    writer.add("s", dtype: DTypes.string, [count], Values.strings(values))
    let opened = try Opened(writer)
    let pieces = try (0..<count).map { index in
      let placement = try opened.placement("s", TensorSlice(starts: [index], counts: [1]))
      guard case .piece(let piece) = placement else {
        throw Problem(.system, "strings that lie ready")
      }
      return piece
    }
    var loading = Loading(opened.checkpoint, opened.files) {}
    let charged = try loading.decodingByteCount(of: pieces)
    #expect(charged < 64 << 20)
    try loading.readStrings(of: pieces)
    let before = try ProcessMemory.byteCount("VmRSS")
    for piece in pieces { #expect(try loading.byteCount(of: piece) == 8192 + 16) }
    // A copy for each piece would be half a gigabyte.
    #expect(try ProcessMemory.byteCount("VmRSS") - before < 64 << 20)
  }

  private func piece(_ name: String, of opened: Opened, _ slice: TensorSlice? = nil) throws -> Piece
  {
    guard case .piece(let piece) = try opened.placement(name, slice, PlacementOptions(sealed: true))
    else { throw Problem(.system, "bytes that lie ready") }
    return piece
  }

  @Test func `the positions of a block's values are charged, whichever value is wanted`() throws {
    var writer = SavedSlicesWriter()
    writer.table.blockByteCount = 1 << 24
    for number in 0..<5000 { writer.add(.init("t\(number)"), dtype: 4, [1], .varints(7, [1])) }
    let opened = try Opened(writer)
    var loading = Loading(opened.checkpoint, opened.files) {}
    let charged = try loading.decodingByteCount(of: [piece("t7", of: opened)])
    #expect(charged > 2 * opened.files.members[0].status.size + 5000 * 64)
  }

  /// Two tables of one layout, each with a record in a separate block.
  private func twins() throws -> Opened {
    var writer = SavedSlicesWriter()
    writer.table.blockByteCount = 1
    writer.add("x", dtype: 4, [1], [([.whole], .varints(7, [1]))])
    writer.add("y", dtype: 4, [1], [([.whole], .varints(7, [1]))], in: 1)
    return try Opened(writer)
  }

  /// Marks the last data block of a table as compressed or not.
  private func setCompressed(_ isCompressed: Bool, _ path: String) throws {
    let bytes = Array(try #require(FileManager.default.contents(atPath: path)))
    // It reaches up to the metaindex, which the footer names first.
    let end = bytes.count - 48
    let metaindex =
      bytes[end] < 0x80 ? Int(bytes[end]) : Int(bytes[end] & 0x7f) | Int(bytes[end + 1]) << 7
    try BundleFile.overwrite(path, at: metaindex - 5, [isCompressed ? 1 : 0])
  }

  @Test func `blocks of several tables at one offset are charged separately`() throws {
    let opened = try twins()
    try #require(opened.checkpoint.stored[0].offset == opened.checkpoint.stored[1].offset)
    try setCompressed(true, opened.bundle.shards[1])
    let pieces = [try piece("x", of: opened), try piece("y", of: opened)]
    var loading = Loading(opened.checkpoint, opened.files) {}
    #expect(try loading.decodingByteCount(of: [pieces[0]]) < 1 << 20)
    #expect(try loading.decodingByteCount(of: pieces) > 1 << 20)
  }

  @Test func `a block whose type changed after it was charged is refused`() throws {
    let opened = try twins()
    try setCompressed(true, opened.bundle.shards[0])
    let piece = try piece("x", of: opened)
    var loading = Loading(opened.checkpoint, opened.files) {}
    _ = try loading.decodingByteCount(of: [piece])
    try setCompressed(false, opened.bundle.shards[0])
    var arena = try Arena(named: "test", byteCount: 64)
    let target = Loading.Target(piece: piece, offset: 0, byteCount: 1)
    let problem = #expect(throws: Problem.self) {
      try loading.load(verifying: [], filling: [target], of: &arena)
    }
    #expect(problem?.message.contains("is being written") == true)
  }

  @Test func `the keys and places of an index are reserved before it is read`() throws {
    var writer = SavedSlicesWriter()
    writer.table.blockByteCount = 1
    for number in 0..<100 {
      let name = BundleWriter.Key([UInt8](repeating: 0x6e, count: 1000) + "\(number)".utf8)
      writer.add(name, dtype: 4, [1], [([.whole], .varints(7, [1]))])
    }
    var reserved: [Int] = []
    let opened = try Opened(writer)
    _ = try Checkpoint.read(opened.files) { reserved.append($0) }
    _ = opened.directory
    // Its contents, keys, and an entry for each six bytes.
    #expect(reserved[0] > 100 * 1000 * 10)
    // The list is read in eleven times its size, and then taken in 64 KiB and forty-one times.
    let list = (reserved[2] - reserved[1] - 65_536) / 30
    // Beside it, the index stays.
    #expect(reserved[1] - 11 * list > 100 * 1000)
  }

  @Test func `a type that V1 cannot hold is listed, and unsupported when resolved`() throws {
    let opened = try Opened(writer(.varints(7, [1, 2, 3]), dtype: 14))
    #expect(opened.checkpoint.catalog.dtype(0) == .bfloat16)
    let problem = refusal { _ = try opened.bytes("x") }
    #expect(problem?.reason == .unsupported)
    #expect(problem?.message.contains("bfloat16") == true)
  }

  @Test func `an empty tensor has no values`() throws {
    let opened = try Opened(writer(Values(raw: []), shape: [0, 4]))
    #expect(try opened.bytes("x") == [])
  }

  @Test func `a scalar is one value`() throws {
    #expect(try Opened(writer(.varints(7, [9]), shape: [])).bytes("x") == [9, 0, 0, 0])
  }

  // MARK: Strings

  @Test func `strings are read`() throws {
    let strings = [Array("a".utf8), [], [0, 255]]
    let opened = try Opened(writer(.strings(strings), dtype: DTypes.string))
    #expect(try opened.strings("x") == strings)
  }

  @Test func `strings that differ from the elements in number are refused`() throws {
    let opened = try Opened(writer(.strings([[1], [2]]), dtype: DTypes.string))
    let problem = refusal { _ = try opened.strings("x") }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("expected 3 elements of dtype string") == true)
  }

  // MARK: Slices

  /// A tensor of 4 × 6 bytes, in tiles of 2 × 3 that lie in two tables.
  private var tiled: SavedSlicesWriter {
    var writer = SavedSlicesWriter()
    for (number, start) in [(0, 0), (0, 3), (2, 0), (2, 3)].enumerated() {
      let values = (0..<6).map { (start.0 + $0 / 3) * 6 + start.1 + $0 % 3 }
      writer.add(
        "x", dtype: 4, [4, 6],
        [([Extent(start.0, 2), Extent(start.1, 3)], .varints(7, values))], in: number % 2)
    }
    return writer
  }

  @Test func `a tensor is assembled from slices in several tables`() throws {
    let opened = try Opened(tiled)
    #expect(try opened.bytes("x") == (0..<24).map { UInt8($0) })
    let slice = TensorSlice(starts: [1, 2], counts: [2, 2])
    #expect(try opened.bytes("x", slice) == [8, 9, 14, 15])
  }

  @Test func `a slice that is listed without a record is refused when it is needed`() throws {
    var writer = SavedSlicesWriter()
    writer.add("x", dtype: 4, [4], [([Extent(0, 2)], .varints(7, [1, 2])), ([Extent(2, 2)], nil)])
    let opened = try Opened(writer)
    #expect(try opened.bytes("x", TensorSlice(starts: [0], counts: [2])) == [1, 2])
    let problem = refusal { _ = try opened.bytes("x") }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("lists slice 2,2, whose record is") == true)
  }

  @Test func `a tensor without slices is missing`() throws {
    var writer = SavedSlicesWriter()
    writer.add("a", dtype: 4, [1], .varints(7, [1]))
    writer.add("x", dtype: 4, [3], [])
    let opened = try Opened(writer)
    #expect(opened.checkpoint.catalog.position(of: "x") == nil)
    #expect(try opened.bytes("a") == [1])
  }

  @Test(
    arguments: [
      [Extent(0, 0)], [Extent(-1, 2)], [Extent(1, -1)], [Extent(1, nil)], [Extent(.max, 1)],
    ])
  func `slices that TensorFlow refuses are refused`(_ extents: [Extent]) {
    let problem = refusal { _ = try Opened(writer(nil, extents: extents)) }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.tensor == "x")
  }

  @Test func `a slice beyond the tensor is refused when it is read`() throws {
    let opened = try Opened(writer(.varints(7, [1, 2]), extents: [Extent(2, 2)]))
    #expect(throws: Problems.self) {
      try Resolution.resolve(
        ["x": .variable("v")],
        variables: [Variable("v", dtype: .int32, shape: [3], isInStore: false)],
        in: opened.checkpoint.catalog)
    }
  }

  @Test func `a slice whose rank differs from the tensor's is refused`() {
    let problem = refusal {
      _ = try Opened(writer(nil, extents: [Extent(0, 1), Extent(0, 1)]))
    }
    #expect(problem?.message.contains("has a slice of 2 axes in file ") == true)
  }

  @Test func `tables that disagree about a tensor are refused`() {
    var writer = SavedSlicesWriter()
    writer.add("x", dtype: 4, [4], [([Extent(0, 2)], .varints(7, [1, 2]))])
    writer.add("x", dtype: 4, [5], [([Extent(2, 3)], .varints(7, [1, 2, 3]))], in: 1)
    let problem = refusal { _ = try Opened(writer) }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("has dtype uint8 and shape [5] in") == true)
  }

  @Test func `a thousand slices of one tensor are read`() throws {
    var writer = SavedSlicesWriter()
    let slices = (0..<1000).map { ([Extent($0, 1)], Optional(Values.varints(7, [$0 % 256]))) }
    writer.add("x", dtype: 4, [1000], slices)
    #expect(try Opened(writer).bytes("x") == (0..<1000).map { UInt8($0 % 256) })
  }

  // MARK: Lists

  @Test func `a name longer than any key is refused, and the error names the table`() throws {
    func writer(_ byteCount: Int) -> SavedSlicesWriter {
      var writer = SavedSlicesWriter()
      writer.add("a", dtype: 4, [1], .varints(7, [1]))
      let name = BundleWriter.Key([UInt8](repeating: 0x6e, count: byteCount))
      writer.add(name, dtype: 4, [1], [([.whole], nil)], in: 1)
      return writer
    }
    #expect(try Opened(writer(1 << 16)).checkpoint.catalog.count == 2)
    let problem = refusal { _ = try Opened(writer(65_537)) }
    #expect(problem?.reason == .unsupported)
    #expect(
      problem?.message == "file model-1 lists a tensor whose name has 65537 bytes, "
        + "expected at most 65536")
  }

  @Test(arguments: [[-7], [1 << 40, 1 << 40], Array(repeating: 1, count: 255)])
  func `an impossible shape is refused`(_ shape: [Int]) {
    var writer = SavedSlicesWriter()
    writer.add("x", dtype: 1, shape, [])
    let problem = refusal { _ = try Opened(writer) }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("invalid shape") == true)
  }

  @Test(arguments: [0, 99, 20])
  func `an unknown dtype is refused`(_ dtype: Int) {
    let problem = refusal { _ = try Opened(writer(nil, dtype: dtype)) }
    #expect(problem?.message.contains("the unknown dtype \(dtype)") == true)
  }

  @Test func `a version that forbids this reader is refused`() {
    var writer = writer(.varints(7, [1, 2, 3]))
    // min_consumer 99.
    writer.versions = [0x08, 1, 0x10, 99]
    #expect(refusal { _ = try Opened(writer) }?.reason == .versionMismatch)
  }

  // MARK: Damage

  /// Golden tables, as TensorFlow wrote them.
  private static let tables = [
    "v1_partitioned/model", "v1_plain/model.ckpt-5", "v1_sharded/model-00000-of-00002",
    "v1_sharded/model-00001-of-00002",
  ]

  /// The bytes of each tensor of one table, or its error.
  private static func everything(
    in bytes: [UInt8], _ directory: TemporaryDirectory
  ) throws -> [String: String] {
    let path = "\(directory.path)/model"
    try BundleFile.write([(0, bytes)], byteCount: nil, to: path)
    let opened = try Opened(
      tables: .init(prefix: path, index: path, shards: [path], entries: [:]), in: directory)
    var read: [String: String] = [:]
    for tensor in 0..<opened.checkpoint.catalog.count {
      let name = opened.checkpoint.catalog.name(tensor).description
      do {
        let placement = try opened.checkpoint.placement(
          of: tensor, nil, PlacementOptions(), in: opened.files)
        guard case .piece(let piece) = placement else { continue }
        var loading = Loading(opened.checkpoint, opened.files) {}
        let count = try loading.byteCount(of: piece)
        guard count < 1 << 20 else { continue }
        var arena = try Arena(named: "test", byteCount: piece.alignment + max(1, count))
        try loading.load(
          verifying: [],
          filling: [Loading.Target(piece: piece, offset: piece.alignment, byteCount: count)],
          of: &arena)
        let span = arena.bytes
        read[name] = "\(Array(span.bytes))"
      } catch is Problem {
        read[name] = "refused"
      }
    }
    return read
  }

  @Test(arguments: tables) func `every truncation is refused`(_ table: String) throws {
    let directory = try TemporaryDirectory()
    let bytes = Array(try #require(FileManager.default.contents(atPath: Golden.path(table))))
    for count in bytes.indices {
      #expect(throws: Problem.self, "the first \(count) bytes") {
        try Self.everything(in: Array(bytes[..<count]), directory)
      }
    }
  }

  @Test(arguments: tables)
  func `one or two changed bytes are refused or change nothing`(_ table: String) throws {
    let directory = try TemporaryDirectory()
    let bytes = Array(try #require(FileManager.default.contents(atPath: Golden.path(table))))
    let whole = try Self.everything(in: bytes, directory)
    #expect(!whole.isEmpty && !whole.values.contains("refused"))
    var random = SeededRandom(seed: 1)
    for _ in 0..<1000 {
      var changed = bytes
      for _ in 0...random.below(2) {
        changed[random.below(bytes.count)] ^= UInt8(1 + random.below(255))
      }
      guard let read = try? Self.everything(in: changed, directory) else { continue }
      #expect(read.keys.sorted() == whole.keys.sorted())
      for (name, value) in read where value != "refused" { #expect(value == whole[name]) }
    }
  }

  /// Corrects the checksums, which would hide the damage behind them.
  @Test func `changed lists and records with good checksums are refused or read`() throws {
    let directory = try TemporaryDirectory()
    var writer = tiled
    writer.add("s", dtype: DTypes.string, [2], .strings([[1, 2], [3]]))
    writer.add("f", dtype: 1, [2], .fixed(5, [0, 0, 128, 63, 0, 0, 0, 64], width: 4))
    writer.add("i", dtype: 9, [3], .varints(10, [1, -1, 300]))
    let bytes = writer.tables()[0]
    // The one data block reaches up to the metaindex, which the footer names first.
    let end = bytes.count - 48
    let metaindex = Int(bytes[end] & 0x7f) | Int(bytes[end + 1]) << 7
    try #require(bytes[end] >= 0x80 && bytes[end + 1] < 0x80)
    var random = SeededRandom(seed: 2)
    var (refused, read) = (0, 0)
    for _ in 0..<5000 {
      var changed = bytes
      for _ in 0...random.below(2) {
        changed[random.below(metaindex - 5)] ^= UInt8(1 + random.below(255))
      }
      let checksum = CRC32C.mask(CRC32C.of(Array(changed[..<(metaindex - 4)])))
      for byte in 0..<4 {
        changed[metaindex - 4 + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(byte)))
      }
      if (try? Self.everything(in: changed, directory)) == nil { refused += 1 } else { read += 1 }
    }
    #expect(refused > 0 && read > 0)
  }
}
