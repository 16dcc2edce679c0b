import WarmstartTensorModel

/// A table of which only the index is in memory, so that single entries of a large file can be read.
///
/// Who has the file reads the bytes, in this order: the last `footerByteCount`, which say where the
/// index is; the index; then those data blocks that may hold what is sought. All of them are taken for
/// hostile, as by `TableReader`.
package struct TableIndex: Sendable {
  /// Where a data block is, its trailer included.
  package struct Block: Sendable, Hashable {
    /// From the start of the file.
    package let offset: Int
    package let byteCount: Int

    package init(offset: Int, byteCount: Int) {
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// The bytes at the end of the file that say where the index is.
  package static let footerByteCount = Footer.byteCount

  /// The longest key that any table may have.
  package static let maximumKeyByteCount = Key.maximumByteCount

  /// The longest block: what protobuf can make one message of, and more.
  private static let maximumBlockByteCount = 1 << 32

  /// The data blocks, in the order of the file.
  package private(set) var blocks: [Block] = []
  /// The greatest key that each block may hold, one after the other.
  private var keys: [UInt8] = []
  private var keyEnds: [Int] = []

  /// The memory that an index may take whose contents have so many bytes, these among it.
  ///
  /// An entry has six bytes at least. Keys may have as many bytes as the contents: writers store
  /// each of an index's whole.
  package static func memoryByteCount(ofContents byteCount: Int) -> Int {
    2 * byteCount + byteCount / 6 * 48
  }

  /// The memory that this value takes, in bytes, about.
  package var memoryByteCount: Int { keys.count + blocks.count * 24 }

  /// Where the index is, its trailer included; `end` is the end of a file of that many bytes.
  package static func range(
    footer end: RawSpan, fileByteCount: Int
  ) throws(TableError) -> Range<Int> {
    let index = try Footer(endOf: end, fileByteCount: fileByteCount).index
    return index.offset..<index.end
  }

  /// Reads the index, whose bytes lie at an offset of the file.
  package init(_ bytes: RawSpan, at offset: Int) throws(TableError) {
    var allowance = Allowance(fileByteCount: bytes.byteCount)
    let block = try WarmstartTable.Block(stored: bytes, at: offset, allowance: &allowance)
    var entries = Entries()
    try entries.start(block)
    var last = 0
    while try entries.next(in: block, allowance: &allowance) {
      var cursor = Cursor(block.contents.extracting(entries.value), offset: 0)
      let handle = try BlockHandle(.data, from: &cursor, limit: offset)
      guard handle.byteCount <= TableIndex.maximumBlockByteCount else { throw .badHandle(.data) }
      guard handle.offset >= last else { throw .overlappingBlocks(block: handle.offset) }
      last = handle.end
      blocks.append(Block(offset: handle.offset, byteCount: handle.end - handle.offset))
      let key = entries.key.bytes
      guard key.count <= block.contents.count - keys.count else {
        throw .keysTooLarge(limit: block.contents.count)
      }
      for index in key.indices { keys.append(key[index]) }
      keyEnds.append(keys.count)
    }
  }

  /// The block that holds a key if the table has it; nil if the table ends before.
  package func block(of key: [UInt8]) -> Block? {
    let place = blocks.indices.firstPosition { block in
      let start = block == 0 ? 0 : keyEnds[block - 1]
      return !Key.precedes(keys.span.extracting(start..<keyEnds[block]), key.span)
    }
    return place < blocks.count ? blocks[place] : nil
  }
}
