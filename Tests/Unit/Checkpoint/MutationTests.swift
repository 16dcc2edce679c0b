import Foundation
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel
import WarmstartTestSupport

/// Real indexes, truncated and changed: each gives an error or the checkpoint that was written.
@Suite struct MutationTests {
  /// Each index once, however many checkpoints have it.
  private static let indexes: [(path: String, bytes: [UInt8])] = {
    let paths = FileManager.default.subpaths(atPath: Golden.path("")) ?? []
    var indexes: [[UInt8]: String] = [:]
    for path in paths.sorted() where path.hasSuffix(".index") {
      guard let data = FileManager.default.contents(atPath: Golden.path(path)) else { continue }
      indexes[Array(data), default: path] += ""
    }
    return indexes.map { ($0.value, $0.key) }.sorted { $0.path < $1.path }
  }()
  /// Larger files are not cut at every byte, and are changed less often.
  private static let largeByteCount = 64 << 10

  /// What a reader must read correctly.
  private static func describe(_ bytes: [UInt8]) throws -> [String] {
    let checkpoint = try BundleReader.parse(bytes)
    let catalog = checkpoint.catalog
    return [
      "\(checkpoint.shardCount) \((0..<checkpoint.catalog.count).map(checkpoint.isBigEndian)) \(checkpoint.stored)"
    ]
      + (0..<catalog.count).map { tensor in
        "\(catalog.name(tensor)) \(catalog.dtype(tensor)) \(catalog.shape(tensor))"
          + " \(catalog.slices(tensor)) \(checkpoint.storedRange(tensor))"
      }
  }

  @Test func `the indexes to change exist`() throws {
    #expect(Self.indexes.count > 15)
    #expect(Self.indexes.contains { $0.bytes.count > Self.largeByteCount })
  }

  @Test(arguments: 0..<indexes.count)
  func `every truncation is refused`(_ number: Int) {
    let (path, bytes) = Self.indexes[number]
    var random = SeededRandom(seed: UInt64(number))
    let isLarge = bytes.count > Self.largeByteCount
    let counts =
      isLarge ? (0..<2000).map { _ in random.below(bytes.count) } : Array(0..<bytes.count)
    for count in counts {
      #expect(throws: Problem.self, "the first \(count) bytes of \(path)") {
        try BundleReader.parse(Array(bytes[..<count]))
      }
    }
  }

  @Test(arguments: 0..<indexes.count)
  func `one or two changed bytes are refused or change nothing`(_ number: Int) throws {
    let (path, bytes) = Self.indexes[number]
    let whole = try Self.describe(bytes)
    let seed = UInt64(number)
    var random = SeededRandom(seed: seed)
    for _ in 0..<(bytes.count > Self.largeByteCount ? 200 : 1000) {
      let changed = Self.changed(bytes, in: bytes.indices, &random)
      guard let read = try? Self.describe(changed) else { continue }
      #expect(read == whole, "seed \(seed) of \(path)")
    }
  }

  /// Corrects the checksums, which would hide the damage behind them.
  @Test(arguments: 0..<indexes.count)
  func `changed entries with good checksums are refused or read`(_ number: Int) {
    let (path, bytes) = Self.indexes[number]
    guard bytes.count <= Self.largeByteCount else { return }
    var random = SeededRandom(seed: UInt64(number))
    // The one data block reaches up to the metaindex, which the footer names first.
    let end = bytes.count - 48
    let metaindex =
      bytes[end] < 0x80 ? Int(bytes[end]) : Int(bytes[end] & 0x7f) | Int(bytes[end + 1]) << 7
    var readCount = 0
    for _ in 0..<1000 {
      var changed = Self.changed(bytes, in: 0..<metaindex - 5, &random)
      let checksum = CRC32C.mask(CRC32C.of(Array(changed[..<(metaindex - 4)])))
      for byte in 0..<4 {
        changed[metaindex - 4 + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(byte)))
      }
      if (try? Self.describe(changed)) != nil { readCount += 1 }
    }
    // Names, offsets and checksums of tensors may have any value.
    #expect(readCount > 0 && readCount < 1000, "\(path)")
  }

  @Test(.disabled(if: ProcessMemory.isSanitized, "sanitizers hold on to what is freed"))
  func `no hostile index takes more memory than is charged for it`() async {
    await #expect(processExitsWith: .success) {
      let corpus = Golden.path("../Corpus/checkpoints")
      let names = try FileManager.default.contentsOfDirectory(atPath: corpus)
      var readCount = 0
      for name in names.sorted() {
        let path = "\(corpus)/\(name)/model.index"
        guard let data = FileManager.default.contents(atPath: path) else { continue }
        let bytes = Array(data)
        try ProcessMemory.forgetPeak()
        let before = try ProcessMemory.byteCount("VmRSS")
        _ = try? BundleReader.parse(bytes)
        let peak = try ProcessMemory.byteCount("VmHWM")
        let limit = BundleReader.memoryByteCount(
          ofIndex: bytes.count, expanding: TableReader.expandedByteCount(of: bytes.rawSpan))
        // Pages of the program, and memory that the allocator keeps.
        #expect(peak - before <= limit + (4 << 20), "\(name)")
        readCount += 1
      }
      #expect(readCount > 130)
    }
  }

  private static func changed(
    _ bytes: [UInt8], in range: Range<Int>, _ random: inout SeededRandom
  ) -> [UInt8] {
    var changed = bytes
    for _ in 0...random.below(2) {
      changed[range.lowerBound + random.below(range.count)] ^= UInt8(1 + random.below(255))
    }
    return changed
  }
}
