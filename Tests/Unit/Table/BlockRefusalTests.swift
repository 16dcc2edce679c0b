import Testing
import WarmstartTable
import WarmstartTestSupport

/// One input for each way in which a block's contents can be wrong.
@Suite struct BlockRefusalTests {
  @Test(
    arguments: [
      [], [0], [0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2, 0, 0, 0],
      [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0, 0, 0, 0, 0x40], [1, 0, 0, 0, 1, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
    ] as [[UInt8]])
  func `a block with malformed restarts is refused`(contents: [UInt8]) {
    #expect(failure(of: FileBuilder.file(ofBlock: contents)) == .badRestarts(block: 0))
  }

  @Test func `an index with malformed restarts is refused`() {
    var file = FileBuilder()
    #expect(failure(of: file.finish(indexContents: [0, 0, 0, 0])) == .badRestarts(block: 13))
  }

  @Test(arguments: [
    [1], [0, 0], [0, 2], [0, 4, 4], [0, 4, 8, 12], [0, 8, 4], [0, 0xffff_ffff],
  ])
  func `a restart where no entry starts is refused`(restarts: [Int]) {
    var block = BlockBuilder(restartInterval: 1)
    for name in ["a", "b", "c"] { block.append(Entry(name)) }
    let file = FileBuilder.file(ofBlock: block.finish(restarts: restarts))
    #expect(failure(of: file) == .badRestarts(block: 0))
  }

  @Test(arguments: [[0], [0, 4], [0, 8], [0, 4, 8]])
  func `restarts may be at any of the entries`(restarts: [Int]) throws {
    var block = BlockBuilder(restartInterval: 1)
    for name in ["a", "b", "c"] { block.append(Entry(name)) }
    let file = FileBuilder.file(ofBlock: block.finish(restarts: restarts))
    #expect(try entries(of: file).count == 3)
  }

  @Test func `a restart that shares a prefix is refused`() {
    var block = BlockBuilder()
    block.append(Entry("a"))
    block.append(shared: 1, suffix: [1], value: [])
    #expect(failure(of: FileBuilder.file(ofBlock: block.finish())) == nil)
    #expect(
      failure(of: FileBuilder.file(ofBlock: block.finish(restarts: [0, 4])))
        == .badEntry(block: 0, entry: 4))
  }

  @Test func `an entry that shares more than its predecessor's key is refused`() {
    var block = BlockBuilder()
    block.append(Entry("ab"))
    block.append(shared: 3, suffix: [1], value: [])
    #expect(
      failure(of: FileBuilder.file(ofBlock: block.finish())) == .badEntry(block: 0, entry: 5))
  }

  @Test func `a block's first entry cannot share the last key of another block`() {
    var file = FileBuilder()
    var first = BlockBuilder()
    first.append(Entry("abc"))
    var second = BlockBuilder()
    second.append(shared: 3, suffix: [1], value: [])
    let handles = [file.append(block: first.finish()), file.append(block: second.finish())]
    let table = file.finish(index: [
      Entry(Array("abc".utf8), handles[0].bytes), Entry(Array("b".utf8), handles[1].bytes),
    ])
    #expect(failure(of: table) == .badEntry(block: handles[1].offset, entry: 0))
  }

  @Test(
    arguments: [
      [0], [0, 1], [0, 1, 0], [0, 0, 1], [0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0],
      [0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], [0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0],
    ] as [[UInt8]])
  func `an entry that does not lie in its block is refused`(raw: [UInt8]) {
    var block = BlockBuilder()
    block.append(raw: raw)
    #expect(
      failure(of: FileBuilder.file(ofBlock: block.finish())) == .badEntry(block: 0, entry: 0))
  }

  @Test func `a key of more than 65536 bytes is refused`() {
    var whole = BlockBuilder()
    whole.append(Entry(Array(repeating: 1, count: 65_537), []))
    #expect(
      failure(of: FileBuilder.file(ofBlock: whole.finish()))
        == .keyTooLong(block: 0, entry: 0, byteCount: 65_537))
    var shared = BlockBuilder()
    shared.append(Entry(Array(repeating: 1, count: 65_536), []))
    shared.append(shared: 65_536, suffix: [1], value: [])
    guard
      case .keyTooLong(block: 0, _, byteCount: 65_537) =
        failure(of: FileBuilder.file(ofBlock: shared.finish()))
    else {
      Issue.record("the shared key was not refused")
      return
    }
  }

  @Test func `keys that expand far beyond their file are refused`() {
    var block = BlockBuilder()
    block.append(Entry(Array(repeating: 1, count: 20_000), []))
    for number in 0..<2000 {
      block.append(shared: 20_000, suffix: [UInt8(number >> 8), UInt8(number & 0xff)], value: [])
    }
    let file = FileBuilder.file(ofBlock: block.finish())
    #expect(failure(of: file) == .keysTooLarge(limit: file.count * 32 + 65_536))
  }

  @Test func `keys that expand as much as writers do are read`() throws {
    var random = SeededRandom(seed: 4)
    let prefix = random.bytes(5000)
    let model = (0..<64).map { Entry(prefix + [UInt8($0)], []) }
    #expect(try entries(of: TableBuilder().table(of: model)) == model)
  }

  @Test(
    arguments: [
      [], [0x80], [5], [5, 0], [3, 8, 1, 2], [2, 8, 1, 2, 3], [8, 0, 1, 0x1e, 2, 0],
      [8, 0, 1, 0x1a, 0, 0], [0xff, 0xff, 0x3f, 0, 1],
    ] as [[UInt8]])
  func `malformed snappy data is refused`(contents: [UInt8]) {
    let file = FileBuilder.file(ofBlock: contents, type: 1)
    #expect(failure(of: file) == .corruptCompression(block: 0))
  }

  @Test func `a length beyond what a file may expand to is refused`() {
    let file = FileBuilder.file(ofBlock: [0xff, 0xff, 0xff, 0xff, 0x0f, 0], type: 1)
    let limit = file.count * 32 + (1 << 20)
    #expect(
      failure(of: file) == .expansionTooLarge(block: 0, byteCount: 0xffff_ffff, limit: limit))
  }

  @Test func `all blocks share one limit of expansion`() {
    var first = BlockBuilder()
    first.append(Entry([1], Array(repeating: 0, count: 1 << 20)))
    let contents = first.finish()
    var builder = FileBuilder()
    let handles = [
      builder.append(block: SnappyEncoder.encode(contents), type: 1),
      builder.append(block: varint(1 << 21), type: 1),
    ]
    let file = builder.finish(index: [Entry([1], handles[0].bytes), Entry([2], handles[1].bytes)])
    let left = file.count * 32 + (1 << 20) - contents.count
    #expect(
      failure(of: file)
        == .expansionTooLarge(block: handles[1].offset, byteCount: 1 << 21, limit: left))
  }

  @Test func `a block that repeats one byte is read`() {
    let bomb = SnappyEncoder.bomb(byteCount: 1 << 20)
    #expect(failure(of: FileBuilder.file(ofBlock: bomb, type: 1)) == .badRestarts(block: 0))
  }

  @Test func `a compressed index is read and a bad one refused`() throws {
    var file = FileBuilder()
    var block = BlockBuilder()
    block.append(Entry("a", "1"))
    var index = BlockBuilder(restartInterval: 1)
    index.append(Entry(Array("b".utf8), file.append(block: block.finish()).bytes))
    var bad = file
    let table = file.finish(indexContents: SnappyEncoder.encode(index.finish()), type: 1)
    #expect(try entries(of: table) == [Entry("a", "1")])
    let badOffset = bad.bytes.count + 13
    #expect(
      failure(of: bad.finish(indexContents: index.finish(), type: 1))
        == .corruptCompression(block: badOffset))
  }
}
