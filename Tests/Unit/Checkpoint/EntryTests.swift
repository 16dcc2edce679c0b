import Testing
import WarmstartCheckpoint
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartTestSupport

/// How the messages of an index are parsed: as protobuf does it for TensorFlow.
@Suite struct EntryTests {
  private func entry(_ bytes: [UInt8], limit: Int = .max) throws(MessageError) -> BundleEntry {
    var entry = BundleEntry()
    try entry.parse(bytes.span, limit: limit)
    return entry
  }

  private static func shape(_ lengths: Int...) -> [UInt8] {
    lengths.flatMap { Proto.message(2, Proto.number(1, $0)) }
  }

  private static let whole =
    Proto.number(1, 9) + Proto.message(2, shape(2, 0, 300)) + Proto.number(3, 1)
    + Proto.number(4, 1 << 40) + Proto.number(5, 600) + [6 << 3 | 5, 1, 2, 3, 4]

  @Test func `an entry has what its fields say`() throws {
    let entry = try entry(Self.whole)
    #expect(entry.dtype == 9)
    #expect(entry.shape == [2, 0, 300])
    #expect(entry.shard == 1)
    #expect(entry.offset == 1 << 40)
    #expect(entry.byteCount == 600)
    #expect(entry.maskedChecksum == 0x0403_0201)
    #expect(entry.slices.isEmpty)
  }

  @Test func `an entry keeps nothing of the one that was parsed before`() throws {
    let slice = Proto.message(1, Proto.number(1, 1) + Proto.number(2, 2))
    let (first, second) = (Self.whole + Proto.message(7, slice), [] as [UInt8])
    var entry = BundleEntry()
    try entry.parse(first.span)
    #expect(entry.slices == [[.init(start: 1, length: 2)]])
    try entry.parse(second.span)
    #expect(entry.dtype == 0 && entry.shape == [] && entry.shard == 0 && entry.offset == 0)
    #expect(entry.byteCount == 0 && entry.maskedChecksum == 0 && entry.slices == [])
  }

  @Test func `the last of a number that comes twice counts, also if it is zero`() throws {
    #expect(try entry([8, 1, 8, 2]).dtype == 2)
    #expect(try entry([8, 1, 8, 0]).dtype == 0)
  }

  @Test func `a shape in two messages has the axes of both`() throws {
    let bytes = Proto.message(2, Self.shape(2)) + [8, 1] + Proto.message(2, Self.shape(3, 4))
    #expect(try entry(bytes).shape == [2, 3, 4])
  }

  @Test func `a slice spells out a length of 0, or leaves it out for the whole axis`() throws {
    let slice = Proto.message(1, [8, 5, 16, 0]) + Proto.message(1, [])
    #expect(
      try entry(Proto.message(7, slice)).slices
        == [[.init(start: 5, length: 0), .init(start: 0, length: nil)]])
  }

  @Test func `numbers of 32 bits are cut to them, and keep their sign`() throws {
    #expect(try entry(Proto.number(1, 1 << 32 | 7)).dtype == 7)
    #expect(try entry(Proto.number(1, -1)).dtype == -1)
    #expect(try entry(Proto.number(3, 0xffff_ffff)).shard == -1)
    #expect(try entry(Proto.number(4, -1)).offset == -1)
  }

  @Test func `of a number's tenth byte one bit counts`() throws {
    let ones = [UInt8](repeating: 0xff, count: 9)
    #expect(try entry([4 << 3] + ones + [3]).offset == -1)
    #expect(try entry([4 << 3] + ones + [2]).offset == .max)
  }

  @Test func `unknown fields, and known ones of another wire type, are ignored`() throws {
    let strange: [UInt8] =
      [1 << 3 | 2, 1, 5] + [2 << 3, 3] + [6 << 3, 9] + [7 << 3 | 5, 0, 0, 0, 0]
      + [1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]
    #expect(try entry(Self.whole + strange + Proto.message(1000, [1])).dtype == 9)
    #expect(try entry(strange + Self.whole).shape == [2, 0, 300])
  }

  @Test(arguments: [
    [8], [8, 0x80], [0x12, 5, 0x12], [0x12, 2, 0x12, 9], [0x12, 3, 0x12, 1, 8], [0x35, 1, 2, 3],
    [0x3a, 2, 0x0a, 1], [0x0b], [0x0f], [0, 0],
    // A tag, a length and a number with more bytes than there may be.
    [0x88, 0x80, 0x80, 0x80, 0x80, 0], [0x12, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
    [8] + Array(repeating: 0x80, count: 10) + [0],
  ])
  func `what is no message is malformed`(_ bytes: [UInt8]) {
    let error = #expect(throws: MessageError.self) { try entry(bytes) }
    guard case .malformed = error else {
      Issue.record("not malformed: \(String(describing: error))")
      return
    }
  }

  /// Two bytes each in the index.
  @Test(arguments: [
    Proto.message(7, []), Proto.message(2, Proto.message(2, [])),
    Proto.message(7, Proto.message(1, [])),
  ])
  func `slices, axes and extents of nothing are counted against the limit`(_ field: [UInt8]) {
    let bytes = Array(repeating: field, count: 10_000).flatMap { $0 }
    #expect(throws: MessageError.self) { try entry(bytes, limit: 200_000) }
    #expect(throws: Never.self) { try entry(bytes, limit: 3_000_000) }
  }

  // MARK: Headers

  private func refusal(ofVersion version: [UInt8]) -> Reason? {
    let header = Proto.number(1, 1) + Proto.message(3, version)
    let table = BundleTable()
    do {
      _ = try BundleReader.parse(table.bytes(of: [(key: [], value: header)]))
      return nil
    } catch {
      return error.reason
    }
  }

  @Test(arguments: [[3 << 3, 1], [3 << 3 | 2, 3, 9, 1, 2], [3 << 3, 9, 3 << 3 | 2, 1, 1]])
  func `versions that must not read a checkpoint are found, packed or not`(_ version: [UInt8]) {
    #expect(refusal(ofVersion: version) == .versionMismatch)
  }

  @Test func `other versions must not read it as far as is known`() {
    #expect(refusal(ofVersion: [3 << 3, 2, 3 << 3 | 2, 2, 3, 0]) == nil)
  }

  @Test func `two versions in one header are merged`() {
    let header =
      Proto.message(3, Proto.number(2, 2)) + Proto.message(3, [2 << 3, 1])
      + Proto.message(3, Proto.number(1, 5))
    let table = BundleTable()
    #expect(throws: Never.self) {
      try BundleReader.parse(table.bytes(of: [(key: [], value: header)]))
    }
  }
}
