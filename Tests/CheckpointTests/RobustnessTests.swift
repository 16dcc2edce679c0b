import Checkpoint
import TensorModel
import TestSupport
import Testing

/// One way to be wrong, and what must be said of it.
struct Fault: Sendable, CustomTestStringConvertible {
  let name: String
  let reason: Reason
  /// What the message must name.
  let naming: String
  /// What is read; nil if opening must fail.
  var reading: String?
  var missing: Set<Int> = []
  var make: @Sendable (inout BundleWriter) -> Void = { _ in }
  var damage: @Sendable (BundleWriter.Bundle) throws -> Void = { _ in }

  var testDescription: String { name }

  /// A fault that is met when the index is read.
  static func opening(
    _ name: String, _ reason: Reason, naming: String = "index",
    _ make: @escaping @Sendable (inout BundleWriter) -> Void
  ) -> Fault {
    Fault(name: name, reason: reason, naming: naming, make: make)
  }

  /// A fault of one entry that is met when its tensor is read.
  static func entry(
    _ name: String, _ reason: Reason, of tensor: String = "f",
    _ change: @escaping @Sendable (inout BundleWriter.Entry) -> Void
  ) -> Fault {
    Fault(name: name, reason: reason, naming: tensor, reading: tensor) { writer in
      writer.change(.init(tensor), change)
    }
  }

  /// Opens and reads as told, and returns what is found wrong.
  func problem() throws -> Problem? {
    var writer = Fault.sound
    make(&writer)
    do {
      let opened = try Opened(writer, without: missing, damage: damage)
      #expect(try opened.bytes("sound") == floats(3), "the others are not harmed")
      guard let reading else { return nil }
      _ = try opened.bytes(reading)
      return nil
    } catch let problem as Problem {
      return problem
    }
  }

  static var sound: BundleWriter {
    var writer = BundleWriter()
    writer.add("f", dtype: 1, [2, 3], floats(6))
    writer.add("sound", dtype: 1, [3], floats(3))
    writer.add("s", strings: [Array("hello".utf8), [], [0xff, 0, 0x78]], [3])
    writer.add(
      "p", dtype: 1, [5, 4], floats(20), slices: [[.init(0, 3), .whole], [.init(3, 2), .whole]],
      in: [0, 1])
    return writer
  }
}

/// What TensorFlow is known to do wrong, or right, with damaged V2 checkpoints.
@Suite struct RobustnessTests {
  @Test func `the sound checkpoint is read`() throws {
    let opened = try Opened(Fault.sound)
    #expect(try opened.bytes("f") == floats(6))
    #expect(try opened.bytes("p") == floats(20))
    #expect(try opened.strings("s") == [Array("hello".utf8), [], [0xff, 0, 0x78]])
    // TensorFlow's own numbers for these strings.
    #expect(opened.bundle.entries["s"]?.byteCount == 15)
    #expect(opened.bundle.entries["s"]?.checksum == 0x3180_e568)
  }

  private static let indexFaults: [Fault] = [
    .opening("no header", .corrupt, naming: "no header before f") {
      $0.header.isPresent = false
      $0.drop("p")
      $0.drop(.slice(of: "p", [.init(0, 3), .whole]))
      $0.drop(.slice(of: "p", [.init(3, 2), .whole]))
    },
    .opening("unparseable header", .corrupt, naming: "header") { $0.header.raw = [0xff] },
    .opening("nothing", .corrupt) {
      $0 = BundleWriter()
      $0.header.isPresent = false
    },
    .opening("empty file", .corrupt) { $0.table.missingByteCount = 1 << 20 },
    .opening("short by one", .corrupt) { $0.table.missingByteCount = 1 },
    .opening("first block damaged", .checksumMismatch) { $0.table.damagedBlock = 0 },
    .opening("later block damaged", .checksumMismatch) {
      $0.table.blockByteCount = 48
      $0.table.damagedBlock = 2
    },
    .opening("block type 2", .corrupt) { $0.table.blockType = 2 },
    .opening("plain block called snappy", .corrupt) { $0.table.blockType = 1 },
    .opening("duplicate key", .corrupt) { $0.insert("f", raw: []) },
    .opening("unsorted keys", .corrupt) { $0.keepsOrder = true },
    .opening("min consumer 2", .versionMismatch, naming: "min consumer version 2") {
      $0.header.minimumConsumer = 2
    },
    .opening("producer -1", .versionMismatch, naming: "producer version -1") {
      $0.header.producer = -1
    },
    .opening("bad consumer 1", .versionMismatch, naming: "consumer version 1") {
      $0.header.badConsumers = [3, 1]
    },
  ]

  private static let openingFaults: [Fault] =
    [0, 34, 99, 101, 20, -1].map { dtype in
      .opening("dtype \(dtype)", .corrupt, naming: "tensor f") {
        $0.change("f") { $0.dtype = dtype }
      }
    }
    + [
      [-1], [2, -3], [Int.min], [1 << 62, 4], [1 << 62, 4, 0], [Int.max, 2],
      Array(repeating: 2, count: 64), Array(repeating: 1, count: 255),
    ].map { shape in
      .opening("shape \(shape)", .corrupt, naming: "tensor f") {
        $0.change("f") { $0.shape = shape }
      }
    }
    + [
      .opening("unparseable entry", .corrupt, naming: "entry of f") {
        $0.change("f") { $0.raw = [0xff, 0xff] }
      },
      .opening("slice of another rank", .corrupt, naming: "tensor p") {
        $0.change("p") { $0.slices[1] = [.whole] }
      },
    ]

  private static let readingFaults: [Fault] = [
    .entry("shard 5", .checkpointNotFound) { $0.shard = 5 },
    .entry("shard -1", .checkpointNotFound) { $0.shard = -1 },
    .entry("shard 2^31 - 1", .checkpointNotFound) { $0.shard = 0x7fff_ffff },
    .entry("shard -2^31", .checkpointNotFound) { $0.shard = -0x8000_0000 },
    .entry("offset -8", .truncated) { $0.offset = -8 },
    .entry("offset behind the end", .truncated) { $0.offset = 1 << 20 },
    .entry("offset 2^62", .truncated) { $0.offset = 1 << 62 },
    .entry("offset Int.max", .truncated) { $0.offset = .max },
    .entry("offset Int.min", .truncated) { $0.offset = .min },
    .entry("size 20", .corrupt) { $0.byteCount = 20 },
    .entry("size 28", .corrupt) { $0.byteCount = 28 },
    .entry("size -24", .corrupt) { $0.byteCount = -24 },
    .entry("size Int.max", .corrupt) { $0.byteCount = .max },
    .entry("size Int.min", .corrupt) { $0.byteCount = .min },
    .entry("shape [2^40]", .corrupt) { $0.shape = [1 << 40] },
    .entry("shape [2^62]", .corrupt) { $0.shape = [1 << 62] },
    .entry("shape and size 2^62", .truncated) {
      ($0.dtype, $0.shape, $0.byteCount) = (4, [1 << 62], 1 << 62)
    },
    .entry("shape and size Int.max", .truncated) {
      ($0.dtype, $0.shape, $0.byteCount, $0.offset) = (4, [.max], .max, .max)
    },
    .entry("no checksum", .checksumMismatch) { $0.checksum = 0 },
    .entry("a wrong checksum", .checksumMismatch) { $0.checksum ^= 1 },
    .entry("a wrong checksum of strings", .checksumMismatch, of: "s") { $0.checksum ^= 1 },
    .entry("strings shorter than elements", .corrupt, of: "s") { $0.byteCount = 2 },
    .entry("strings of size 0", .corrupt, of: "s") { $0.byteCount = 0 },
    .entry("strings of size -1", .corrupt, of: "s") { $0.byteCount = -1 },
    .entry("strings of size Int.min", .corrupt, of: "s") { $0.byteCount = .min },
    .entry("strings of size Int.max", .truncated, of: "s") { $0.byteCount = .max },
    .entry("strings at offset Int.max", .truncated, of: "s") { $0.offset = .max },
    .entry("more strings than bytes", .corrupt, of: "s") { $0.shape = [1 << 40] },
    .entry("one string more", .checksumMismatch, of: "s") { $0.shape = [4] },
    .entry("variant", .unsupported) { $0.dtype = 21 },
    .entry("a tensor in no slices that are there", .tensorNotFound, of: "p") {
      $0.slices = [[.init(0, 5), .whole]]
    },
    Fault(name: "slice's entry missing", reason: .tensorNotFound, naming: "3,2:0,4", reading: "p") {
      $0.drop(.slice(of: "p", [.init(3, 2), .whole]))
    },
    Fault(name: "slice's shard missing", reason: .checkpointNotFound, naming: "p", reading: "p") {
      $0.change(.slice(of: "p", [.init(3, 2), .whole])) { $0.shard = 2 }
    },
    Fault(name: "slice's size wrong", reason: .corrupt, naming: "p", reading: "p") {
      $0.change(.slice(of: "p", [.init(3, 2), .whole])) { $0.byteCount = 31 }
    },
    Fault(
      name: "shard file missing", reason: .checkpointNotFound, naming: "p", reading: "p",
      missing: [1]),
    Fault(
      name: "data truncated", reason: .truncated, naming: "f", reading: "f",
      damage: { try BundleFile.truncate($0.shards[0], to: 4) }),
    Fault(
      name: "flipped data byte", reason: .checksumMismatch, naming: "f", reading: "f",
      damage: { try BundleFile.flip($0.shards[0], at: 23) }),
    Fault(
      name: "flipped string length", reason: .checksumMismatch, naming: "s", reading: "s",
      damage: { try BundleFile.flip($0.shards[0], at: 36) }),
    Fault(
      name: "flipped string byte", reason: .checksumMismatch, naming: "s", reading: "s",
      damage: { try BundleFile.flip($0.shards[0], at: 50) }),
  ]

  @Test(arguments: indexFaults + openingFaults)
  func `a damaged index is refused, naming what is wrong`(_ fault: Fault) throws {
    let problem = try #require(try fault.problem())
    #expect(problem.reason == fault.reason, "\(problem)")
    #expect(problem.message.contains(fault.naming), "\(problem)")
  }

  @Test(arguments: readingFaults)
  func `a damaged tensor is refused by name, and the others are not`(_ fault: Fault) throws {
    if fault.name == "data truncated" { return try truncatedData(fault) }
    let problem = try #require(try fault.problem())
    #expect(problem.reason == fault.reason, "\(problem)")
    #expect(problem.message.contains(fault.naming), "\(problem)")
    #expect(problem.tensor == fault.reading.map { Name($0) })
  }

  private func truncatedData(_ fault: Fault) throws {
    let opened = try Opened(Fault.sound, damage: fault.damage)
    for name in ["f", "sound", "s", "p"] {
      let problem = #expect(throws: Problem.self) { try opened.bytes(name) }
      #expect(problem?.reason == .truncated)
      #expect(problem?.message.contains(name) == true)
    }
  }

  @Test(arguments: [nil, 0, 1, 3, -1] as [Int?])
  func `a header of another number of shards finds no data file`(_ count: Int?) throws {
    var writer = Fault.sound
    if let count { writer.header.shardCount = count } else { writer.header.raw = [] }
    let opened = try Opened(writer)
    let problem = #expect(throws: Problem.self) { try opened.bytes("f") }
    #expect(problem?.reason == .checkpointNotFound)
    #expect(problem?.tensor == "f")
  }

  @Test func `later versions of the writer, other bad readers and unknown orders are read`() throws
  {
    var writer = Fault.sound
    writer.header.producer = 99
    writer.header.badConsumers = [2, 0]
    writer.header.endianness = 7
    #expect(try Opened(writer).bytes("f") == floats(6))
  }

  @Test func `little-endian data that is called big has its numbers swapped, its strings refused`()
    throws
  {
    var writer = Fault.sound
    writer.header.endianness = 1
    let opened = try Opened(writer)
    let swapped = stride(from: 0, to: 24, by: 4).flatMap { floats(6)[$0..<$0 + 4].reversed() }
    #expect(try opened.bytes("f") == swapped)
    let problem = #expect(throws: Problem.self) { try opened.bytes("s") }
    #expect(problem?.reason == .checksumMismatch)
  }

  @Test func `junk behind the data and an only header are fine`() throws {
    let opened = try Opened(Fault.sound) { bundle in
      try BundleFile.overwrite(bundle.shards[0], at: 5000, [1, 2, 3])
    }
    #expect(try opened.bytes("f") == floats(6))
    #expect(try Opened(BundleWriter()).checkpoint.catalog.count == 0)
  }

  @Test func `rank 254, scalars and empty tensors are read`() throws {
    var writer = BundleWriter()
    writer.add("deep", dtype: 1, Array(repeating: 1, count: 254), floats(1))
    writer.add("scalar", dtype: 1, [], floats(1))
    writer.add("empty", dtype: 1, [3, 0], [])
    writer.add("none", strings: [], [0])
    let opened = try Opened(writer)
    #expect(try opened.bytes("deep") == floats(1))
    #expect(try opened.bytes("scalar") == floats(1))
    #expect(try opened.bytes("empty") == [])
    #expect(try opened.strings("none") == [])
    #expect(opened.bundle.entries["empty"]?.checksum == 0xa282_ead8)
    #expect(opened.bundle.entries["none"]?.checksum == 0x640c_c1f6)
  }

  // MARK: Strings that lie

  /// Strings whose lengths say one thing and whose bytes are another, with checksums that agree.
  private func strings(lengths: [Int], contents: [UInt8]) throws -> Problem? {
    var checksum: UInt32 = 0
    var bytes: [UInt8] = []
    for length in lengths {
      let isLong = UInt32(exactly: length) == nil
      checksum = CRC32C.extend(
        checksum, (0..<(isLong ? 8 : 4)).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) })
      var rest = UInt64(bitPattern: Int64(length))
      while rest >= 0x80 {
        bytes.append(UInt8(rest & 0x7f) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
    let word = CRC32C.mask(checksum)
    let stored = (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) }
    let rest = stored + contents
    var writer = BundleWriter()
    writer.add("s", dtype: DTypes.string, [lengths.count], bytes + rest)
    writer.change("s") { $0.checksum = CRC32C.mask(CRC32C.extend(checksum, rest)) }
    let opened = try Opened(writer)
    do {
      _ = try opened.strings("s")
      return nil
    } catch let problem as Problem {
      return problem
    }
  }

  @Test func `string lengths that agree are read`() throws {
    #expect(try strings(lengths: [2, 0, 1], contents: [1, 2, 3]) == nil)
  }

  @Test(arguments: [
    [2, 2], [4, 0], [0, Int.max], [Int.max, Int.max], [-1, 0], [1 << 62, 1 << 62], [1 << 32, 0],
    [1, 1], [0, 0],
  ])
  func `string lengths longer or shorter than the bytes are refused`(_ lengths: [Int]) throws {
    let problem = try #require(try strings(lengths: lengths, contents: [1, 2, 3]))
    #expect(problem.reason == .corrupt, "\(problem)")
    #expect(problem.tensor == "s")
  }

  @Test func `a few bytes that claim 2^40 strings in slices cost nothing`() throws {
    var writer = BundleWriter()
    let slices: [[BundleWriter.Extent]] = [[.init(0, 1 << 39)], [.init(1 << 39, 1 << 39)]]
    var list = BundleWriter.Entry()
    (list.dtype, list.shape, list.slices) = (DTypes.string, [1 << 40], slices)
    writer.insert("s", list)
    for slice in slices {
      writer.add(.slice(of: "s", slice), dtype: DTypes.string, [1 << 39], [1, 2, 3, 4, 5])
    }
    let opened = try Opened(writer)
    for slice in [nil, Slice(starts: [5], counts: [1 << 39])] {
      let problem = #expect(throws: Problem.self) { try opened.bytes("s", slice) }
      #expect(problem?.reason == .corrupt)
    }
  }
}
