import WarmstartTensorModel

/// A table of which only the index is in memory, to read single entries of a large file.
///
/// The caller reads the bytes from the file, in this order: the last `footerByteCount` bytes, which
/// locate the index; the index; then the data blocks that may hold an entry. All bytes are treated
/// as hostile, as in `TableReader`.
package struct TableIndex: Sendable {
  /// The range of a data block in the file, including its trailer.
  package struct Block: Sendable, Hashable {
    /// From the start of the file.
    package let offset: Int
    package let byteCount: Int

    package init(offset: Int, byteCount: Int) {
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// The number of bytes at the end of the file that locate the index.
  package static let footerByteCount = Footer.byteCount

  /// The longest key that any table may have.
  package static let maximumKeyByteCount = Key.maximumByteCount

  /// The longest block: more than protobuf can write as one message.
  private static let maximumBlockByteCount = 1 << 32

  /// The data blocks, in the order of the file.
  package private(set) var blocks: [Block] = []
  /// The greatest key that each block may hold, end to end.
  private var keys: [UInt8] = []
  private var keyEnds: [Int] = []

  /// The most memory that an index may take, in bytes, from the length of its contents.
  ///
  /// Includes the contents. An entry has at least six bytes. The keys may have as many bytes as the
  /// contents, since writers store each key of an index whole.
  package static func memoryByteCount(ofContents byteCount: Int) -> Int {
    2 * byteCount + byteCount / 6 * 48
  }

  /// The memory that this value takes, in bytes, approximately.
  package var memoryByteCount: Int { keys.count + blocks.count * 24 }

  /// Locates the index, including its trailer.
  ///
  /// - Parameters:
  ///   - end: The last bytes of the file, at least `footerByteCount` unless the file is shorter.
  package static func range(
    footer end: RawSpan, fileByteCount: Int
  ) throws(TableError) -> Range<Int> {
    let index = try Footer(endOf: end, fileByteCount: fileByteCount).index
    return index.offset..<index.end
  }

  /// Reads the index from its bytes, which lie at an offset of the file.
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

  /// Returns the block that may hold a key; nil if all keys of the table are less.
  package func block(of key: [UInt8]) -> Block? {
    let place = blocks.indices.firstPosition { block in
      let start = block == 0 ? 0 : keyEnds[block - 1]
      return !Key.precedes(keys.span.extracting(start..<keyEnds[block]), key.span)
    }
    return place < blocks.count ? blocks[place] : nil
  }
}
