import Testing
import WarmstartTable

/// One input for each way in which a table can be wrong.
@Suite struct TableRefusalTests {
  @Test(arguments: [0, 1, 8, 47]) func `a file without room for a footer is refused`(count: Int) {
    #expect(failure(of: Array(repeating: 0, count: count)) == .tooShort(byteCount: count))
  }

  @Test func `another kind of file is refused`() {
    #expect(failure(of: Array(repeating: 0, count: 100)) == .badMagic)
    #expect(failure(of: good.dropLast() + [0]) == .badMagic)
  }

  @Test func `a footer without two handles is refused`() {
    let endless = Array(repeating: UInt8(0x80), count: 40)
    var file = FileBuilder()
    #expect(failure(of: file.finish(footer: endless)) == .badHandle(.metaindex))
    let metaindex = file.append(block: BlockBuilder().finish()).bytes
    let footer = metaindex + endless.dropLast(metaindex.count)
    #expect(failure(of: file.finish(footer: footer)) == .badHandle(.index))
  }

  @Test func `a handle with a number beyond any file is refused`() {
    let huge = varint(-1)
    var file = FileBuilder()
    let metaindex = file.append(block: BlockBuilder().finish())
    let footer = metaindex.bytes + [0] + huge
    #expect(failure(of: file.finish(footer: footer)) == .badHandle(.index))
  }

  @Test(arguments: [
    (1 << 50, 8), (0, 1 << 50), (8, Int.max), (Int.max, Int.max), (0, 9), (14, 0), (9, 0),
  ])
  func `a handle past the end is refused`(offset: Int, byteCount: Int) {
    var file = FileBuilder()
    let metaindex = file.append(block: BlockBuilder().finish())
    let bad = Handle(offset: offset, byteCount: byteCount)
    #expect(
      failure(of: file.finish(footer: metaindex.bytes + bad.bytes))
        == .truncated(.index, offset: offset, byteCount: byteCount))
    #expect(
      failure(of: file.finish(footer: bad.bytes + metaindex.bytes))
        == .truncated(.metaindex, offset: offset, byteCount: byteCount))
    #expect(
      failure(
        of: file.finish(index: [Entry(Array("a".utf8), Handle(offset: 1 << 40, byteCount: 0).bytes)]
        ))
        == .truncated(.data, offset: 1 << 40, byteCount: 0))
    let last = Handle(offset: .max, byteCount: .max)
    #expect(
      failure(of: file.finish(index: [Entry(Array("a".utf8), last.bytes)]))
        == .truncated(.data, offset: .max, byteCount: .max))
  }

  @Test func `an index value that is not a handle is refused`() {
    for value in [[], [0], [0x80], varint(-1) + [0]] as [[UInt8]] {
      var file = FileBuilder()
      #expect(failure(of: file.finish(index: [Entry([1], value)])) == .badHandle(.data))
    }
  }

  @Test func `a block with another checksum is refused`() {
    var block = good
    block[3] ^= 1
    guard case .checksumMismatch(block: 0, let stored, let computed) = failure(of: block)
    else {
      Issue.record("the checksum was not compared")
      return
    }
    #expect(stored != computed)
  }

  @Test(arguments: [2, 3, 255] as [UInt8])
  func `a block of an unknown type is refused`(type: UInt8) {
    let file = FileBuilder.file(ofBlock: BlockBuilder().finish(), type: type)
    #expect(failure(of: file) == .badBlockType(block: 0, type: type))
  }

  @Test func `keys that do not ascend within a block are refused`() {
    for keys in [["a", "a"], ["b", "a"], ["ab", "a"], ["", ""], ["a\u{7f}", "a"]] {
      var block = BlockBuilder(restartInterval: 1)
      for key in keys { block.append(Entry(key)) }
      let second = keys[0].utf8.count + 3
      #expect(
        failure(of: FileBuilder.file(ofBlock: block.finish()))
          == .keysOutOfOrder(block: 0, entry: second))
    }
  }

  @Test func `keys are compared as unsigned bytes`() throws {
    let model = [Entry([0x7f], []), Entry([0x80], []), Entry([0xff], []), Entry([0xff, 0], [])]
    #expect(try entries(of: TableBuilder().table(of: model)) == model)
    #expect(failure(of: TableBuilder(restartInterval: 1).table(of: model.reversed())) != nil)
  }

  @Test func `a block that starts at or before its predecessor's end is refused`() {
    for second in ["a", "b", "b5"] {
      let file = blocks([("b", "b5"), (second, "c")])
      #expect(failure(of: file) == .keysOutOfOrder(block: 17, entry: 0))
    }
    #expect(failure(of: blocks([("b", "b5"), ("b6", "c")])) == nil)
  }

  @Test func `an index key less than the block's last is refused`() {
    #expect(failure(of: blocks([("b", "a")])) == .badIndexKey(block: 0))
    #expect(failure(of: blocks([("b", "b"), ("d", "c")])) == .badIndexKey(block: 17))
  }

  @Test func `index keys that do not ascend are refused even over empty blocks`() {
    var file = FileBuilder()
    let first = file.append(block: BlockBuilder().finish())
    let second = file.append(block: BlockBuilder().finish())
    let index = file.bytes.count + 13
    let table = file.finish(index: [Entry([2], first.bytes), Entry([2], second.bytes)])
    #expect(failure(of: table) == .keysOutOfOrder(block: index, entry: 6))
  }

  @Test func `blocks that overlap, repeat or are out of order are refused`() {
    var builder = FileBuilder()
    let first = builder.append(block: block("a"))
    let second = builder.append(block: block("b"))
    for handles in [[first, first], [second, first], [first, Handle(offset: 1, byteCount: 4)]] {
      var file = builder
      let index = handles.enumerated().map { Entry([0x63 + UInt8($0)], $1.bytes) }
      let table = file.finish(index: index)
      #expect(failure(of: table) == .overlappingBlocks(block: handles[1].offset))
    }
  }

  @Test func `the index as one of its own blocks is refused`() {
    var file = FileBuilder()
    let index = Handle(offset: 13, byteCount: 14)
    let table = file.finish(index: [Entry([0x7b], index.bytes)])
    #expect(failure(of: table) == .overlappingBlocks(block: 13))
  }

  @Test func `a changed metaindex is not noticed since nothing is read from it`() throws {
    var file = good
    let metaindex = good.count - 48 - 5 - (8 + 6) - 13
    file[metaindex] ^= 1
    #expect(try entries(of: file) == [Entry("key", "value")])
  }

  /// A good table of one block of one entry.
  private var good: [UInt8] { TableBuilder().table(of: [Entry("key", "value")]) }

  private func block(_ key: String) -> [UInt8] {
    var block = BlockBuilder()
    block.append(Entry(key))
    return block.finish()
  }

  /// A file of blocks of one key each, and their keys in the index.
  private func blocks(_ keys: [(key: String, index: String)]) -> [UInt8] {
    var file = FileBuilder()
    let index = keys.map { keys in
      Entry(Array(keys.index.utf8), file.append(block: block(keys.key)).bytes)
    }
    return file.finish(index: index)
  }
}
