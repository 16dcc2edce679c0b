/// Walks over the entries of one data block, in order.
package struct DataBlock: ~Copyable, ~Escapable {
  private let block: Block
  private var entries = Entries()
  private var allowance: Allowance

  /// The offset of a block's type, from the length of the block with its trailer.
  package static func typeOffset(inBlockOf byteCount: Int) -> Int {
    byteCount - BlockHandle.trailerByteCount
  }

  /// Whether a block of a type is compressed.
  package static func isCompressed(type: UInt8) -> Bool { type != Block.plain }

  /// The most bytes that the contents of a block may have.
  package static func contentsLimit(byteCount: Int, isCompressed: Bool) -> Int {
    isCompressed ? Allowance.expansionLimit(fileByteCount: byteCount) : byteCount
  }

  /// Verifies the checksum of a block, whose bytes end in its trailer, and returns its contents,
  /// expanded.
  package static func contents(
    of bytes: consuming [UInt8], at offset: Int
  ) throws(TableError) -> [UInt8] {
    guard bytes.count >= BlockHandle.trailerByteCount else {
      throw .truncated(.data, offset: offset, byteCount: bytes.count)
    }
    if let expanded = try expanded(RawSpan(_elements: bytes.span), at: offset) { return expanded }
    bytes.removeLast(BlockHandle.trailerByteCount)
    return bytes
  }

  private static func expanded(
    _ bytes: RawSpan, at offset: Int
  ) throws(TableError) -> [UInt8]? {
    var allowance = Allowance(fileByteCount: bytes.byteCount)
    let block = try Block(stored: bytes, at: offset, allowance: &allowance)
    return block.takeExpanded()
  }

  /// Starts before the first entry of verified contents.
  @_lifetime(copy contents)
  package init(_ contents: RawSpan, at offset: Int) throws(TableError) {
    block = Block(verified: contents, at: offset)
    allowance = Allowance(fileByteCount: contents.byteCount)
    try entries.start(block)
  }

  /// Goes to the next entry, or returns false after the last one.
  @_lifetime(self: copy self)
  package mutating func next() throws(TableError) -> Bool {
    try entries.next(in: block, allowance: &allowance)
  }

  /// The key of the current entry.
  package var key: Span<UInt8> {
    @_lifetime(borrow self)
    borrowing get { entries.key.bytes }
  }

  /// Where the value of the current entry lies in the contents.
  package var value: Range<Int> { entries.value }
}
