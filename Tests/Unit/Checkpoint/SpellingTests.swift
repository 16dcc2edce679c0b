import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Entries of the index in all spellings that protobuf allows; writers use one.
@Suite struct SpellingTests {
  private static let checksum: [UInt8] = {
    let bundle = BundleWriter.Entry()
    var entry = bundle
    entry.checksum = CRC32C.mask(CRC32C.of(floats(6)))
    return Array(entry.bytes.suffix(5))
  }()

  /// A tensor of float32 [2, 3] at the start of shard 0, with 24 bytes, each time the same.
  private static let spellings: [(String, [UInt8])] = {
    let dtype: [UInt8] = [0x08, 1]
    let shape: [UInt8] = [0x12, 8, 0x12, 2, 0x08, 2, 0x12, 2, 0x08, 3]
    let size: [UInt8] = [0x28, 24]
    return [
      ("as usual", dtype + shape + size + checksum),
      ("zeros told", dtype + shape + [0x18, 0, 0x20, 0] + size + checksum),
      ("in another order", checksum + size + shape + dtype),
      ("a field twice", [0x08, 9] + dtype + shape + [0x28, 7] + size + checksum),
      (
        "a shape in two parts",
        dtype + [0x12, 4, 0x12, 2, 0x08, 2] + [0x12, 4, 0x12, 2, 0x08, 3]
          + size + checksum
      ),
      ("an unknown field", dtype + shape + size + checksum + [0x78, 5]),
      (
        "an axis with a name",
        dtype
          + [0x12, 11, 0x12, 5, 0x08, 2, 0x12, 1, 0x78, 0x12, 2, 0x08, 3] + size + checksum
      ),
      (
        "a shape that says its rank is known",
        dtype + [0x12, 10] + shape.dropFirst(2) + [0x18, 0]
          + size + checksum
      ),
      ("a number in more bytes than it needs", [0x08, 0x81, 0x00] + shape + size + checksum),
      ("a dtype beyond 32 bits", [0x08, 0x81, 0x80, 0x80, 0x80, 0x10] + shape + size + checksum),
    ]
  }()

  @Test(arguments: SpellingTests.spellings.indices)
  func `every spelling of an entry is read`(spelling: Int) throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [2, 3], floats(6))
    writer.change("a") { $0.raw = SpellingTests.spellings[spelling].1 }
    writer.add("b", dtype: 1, [], floats(1))
    let opened = try Opened(writer)
    let catalog = opened.checkpoint.catalog
    #expect(catalog.shape(0) == [2, 3] && catalog.dtype(0) == .float32)
    #expect(catalog.shape(1) == [])
    #expect(try opened.bytes("a") == floats(6))
    #expect(try opened.bytes("b") == floats(1))
  }

  @Test func `an axis without a length is empty`() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [0, 3], [])
    #expect(try Opened(writer).checkpoint.catalog.shape(0) == [0, 3])
  }
}
