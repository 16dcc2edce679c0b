/// Where a block is: its contents, not the trailer behind them.
struct BlockHandle: Hashable {
  let role: BlockRole
  let offset: Int
  let byteCount: Int

  /// Reads a handle of a block that lies, with its trailer, before the limit.
  ///
  /// Throws `badHandle` if the bytes are no two numbers, and `truncated` if the block does not fit.
  init(_ role: BlockRole, from cursor: inout Cursor, limit: Int) throws(TableError) {
    let numbers: (offset: UInt64, byteCount: UInt64)
    do throws(TableError) {
      numbers = (try cursor.varint64(), try cursor.varint64())
    } catch {
      throw .badHandle(role)
    }
    guard let offset = Int(exactly: numbers.offset), let byteCount = Int(exactly: numbers.byteCount)
    else { throw .badHandle(role) }
    guard offset <= limit, byteCount <= limit - offset,
      BlockHandle.trailerByteCount <= limit - offset - byteCount
    else { throw .truncated(role, offset: offset, byteCount: byteCount) }
    self.role = role
    self.offset = offset
    self.byteCount = byteCount
  }

  /// The offset of the first byte behind the block and its trailer.
  var end: Int { offset + byteCount + BlockHandle.trailerByteCount }

  /// What the block says that it expands to, if it is compressed: snappy begins with that number.
  func expandedByteCount(in file: RawSpan) -> Int {
    guard Span<UInt8>(_bytes: file)[offset + byteCount] == Block.snappy else { return 0 }
    var cursor = Cursor(file.extracting(offset..<offset + byteCount))
    return (try? cursor.varint32()).map(Int.init) ?? 0
  }

  /// One byte of type and four of checksum.
  static let trailerByteCount = 5
}

/// The last bytes of a table: where its index is, and that it is a table at all.
struct Footer {
  let metaindex: BlockHandle
  let index: BlockHandle

  /// Reads the footer of a whole file.
  ///
  /// The metaindex is only checked to lie in the file; like TensorFlow, nothing reads it.
  init(of file: RawSpan) throws(TableError) {
    try self.init(endOf: file, fileByteCount: file.byteCount)
  }

  /// Reads the footer of a file of which only the end is there.
  init(endOf file: RawSpan, fileByteCount: Int) throws(TableError) {
    guard file.byteCount >= Footer.byteCount else { throw .tooShort(byteCount: fileByteCount) }
    let limit = fileByteCount - Footer.byteCount
    var magic = Cursor(file.extracting(last: 8))
    guard try magic.fixed64() == Footer.magic else { throw .badMagic }
    var cursor = Cursor(file.extracting(last: Footer.byteCount).extracting(droppingLast: 8))
    metaindex = try BlockHandle(.metaindex, from: &cursor, limit: limit)
    index = try BlockHandle(.index, from: &cursor, limit: limit)
  }

  /// Two handles of at most 20 bytes each, padded, and the magic number.
  static let byteCount = 48

  /// leveldb's number, "picked by running echo http://code.google.com/p/leveldb/ | sha1sum".
  static let magic: UInt64 = 0xdb47_7524_8b80_fb57
}
