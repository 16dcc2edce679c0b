/// Where a block is: its contents, not the trailer behind them.
struct BlockHandle: Hashable {
  let role: BlockRole
  let offset: Int
  let byteCount: Int

  /// Reads a handle of a block that lies, with its trailer, before the limit.
  ///
  /// - Throws: `badHandle` if the bytes are not two numbers, `truncated` if the block does not fit.
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

  /// The expanded size that a compressed block claims, which snappy writes first; 0 for other
  /// blocks.
  func expandedByteCount(in file: RawSpan) -> Int {
    guard Span<UInt8>(_bytes: file)[offset + byteCount] == Block.snappy else { return 0 }
    var cursor = Cursor(file.extracting(offset..<offset + byteCount))
    return (try? cursor.varint32()).map(Int.init) ?? 0
  }

  /// One byte of type and four of checksum.
  static let trailerByteCount = 5
}
