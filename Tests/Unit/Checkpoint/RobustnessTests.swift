import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Odd but valid V2 checkpoints, and strings whose lengths are wrong.
///
/// `Tests/Data/Corpus` has the checkpoints that are refused.
@Suite struct RobustnessTests {
  private static var sound: BundleWriter {
    var writer = BundleWriter()
    writer.add("f", dtype: 1, [2, 3], floats(6))
    writer.add("s", strings: [Array("hello".utf8), [], [0xff, 0, 0x78]], [3])
    writer.add(
      "p", dtype: 1, [5, 4], floats(20), slices: [[.init(0, 3), .whole], [.init(3, 2), .whole]],
      in: [0, 1])
    return writer
  }

  @Test func `the sound checkpoint is read`() throws {
    let opened = try Opened(Self.sound)
    #expect(try opened.bytes("f") == floats(6))
    #expect(try opened.bytes("p") == floats(20))
    #expect(try opened.strings("s") == [Array("hello".utf8), [], [0xff, 0, 0x78]])
    // TensorFlow's own numbers for these strings.
    #expect(opened.bundle.entries["s"]?.byteCount == 15)
    #expect(opened.bundle.entries["s"]?.checksum == 0x3180_e568)
  }

  @Test func `later writer versions, other bad consumers and unknown byte orders are read`() throws
  {
    var writer = Self.sound
    writer.header.producer = 99
    writer.header.badConsumers = [2, 0]
    writer.header.endianness = 7
    #expect(try Opened(writer).bytes("f") == floats(6))
  }

  @Test
  func `little-endian data marked as big-endian has its numbers swapped and its strings refused`()
    throws
  {
    var writer = Self.sound
    writer.header.endianness = 1
    let opened = try Opened(writer)
    let swapped = stride(from: 0, to: 24, by: 4).flatMap { floats(6)[$0..<$0 + 4].reversed() }
    #expect(try opened.bytes("f") == swapped)
    let problem = #expect(throws: Problem.self) { try opened.bytes("s") }
    #expect(problem?.reason == .checksumMismatch)
  }

  @Test func `bytes after the data, and an index with only a header, are accepted`() throws {
    let opened = try Opened(Self.sound) { bundle in
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

  @Test(arguments: [1, 100, 1000])
  func `many slices under names of any length are accepted`(_ length: Int) throws {
    var writer = BundleWriter()
    let slices = (0..<400).map { [BundleWriter.Extent($0 * 2, 2)] }
    let name = String(repeating: "n", count: length)
    writer.add(.init(name), dtype: 1, [800], floats(800), slices: slices)
    #expect(try Opened(writer).bytes(name) == floats(800))
  }

  // MARK: Strings that lie

  /// Strings whose lengths and bytes disagree, with correct checksums.
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

  /// Reading the whole string would take too much memory for a test, so only its length is read.
  @Test(arguments: [8, 4])
  func `a string of more than 4 GiB has its length checked as eight bytes`(_ width: Int) throws {
    let count = 4 << 30 + 5
    let length = (0..<width).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
    let checksum = CRC32C.mask(CRC32C.of(length))
    var bytes = (0..<5).map { UInt8(truncatingIfNeeded: count >> (7 * $0)) | 0x80 }
    bytes[4] &= 0x7f
    bytes += (0..<4).map { UInt8(truncatingIfNeeded: checksum >> ($0 * 8)) }
    var writer = BundleWriter()
    writer.add("s", dtype: DTypes.string, [1], bytes)
    writer.change("s") { $0.byteCount += count }
    writer.skip(count)
    writer.add("behind", dtype: 4, [1], [7])
    let opened = try Opened(writer)
    guard case .piece(let piece) = try opened.placement("s") else {
      Issue.record("strings that lie ready")
      return
    }
    var loading = Loading(opened.checkpoint, opened.files) {}
    if width == 8 {
      #expect(try loading.byteCount(of: piece) == count + 16)
    } else {
      let problem = #expect(throws: Problem.self) { try loading.byteCount(of: piece) }
      #expect(problem?.reason == .checksumMismatch)
    }
    #expect(try opened.bytes("behind") == [7])
  }

  @Test func `string lengths that add up are read`() throws {
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
    for slice in [nil, TensorSlice(starts: [5], counts: [1 << 39])] {
      let problem = #expect(throws: Problem.self) { try opened.bytes("s", slice) }
      #expect(problem?.reason == .corrupt)
    }
  }
}
