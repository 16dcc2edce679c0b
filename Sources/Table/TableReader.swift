/// Reads a sorted string table: all its entries, in order.
///
/// The caller passes the whole file, in memory that no other process can change. Every byte is
/// treated as hostile. A fault is an error, never a missing entry: after `false`, the walk has seen
/// everything that was written. Beside the file, the reader holds two keys, plus the index and one
/// data block if they are compressed. The article `TableFormat` describes the format.
///
/// ```swift
/// var table = try TableReader(file)
/// while try table.next() { use(table.key, table.value) }
/// ```
package struct TableReader: ~Copyable, ~Escapable {
  private let file: RawSpan
  private let indexBlock: Block
  private var index: Entries
  private var block: Block
  private var entries: Entries
  private var allowance: Allowance
  private let dataLimit: Int
  private var dataEnd = 0
  private var isInBlock = false
  private var failure: TableError?

  /// Verifies the footer and the index, and stands before the first entry.
  @_lifetime(copy file)
  package init(_ file: RawSpan) throws(TableError) {
    let footer = try Footer(of: file)
    var allowance = Allowance(fileByteCount: file.byteCount)
    let indexBlock = try Block(footer.index, of: file, allowance: &allowance)
    var index = Entries()
    try index.start(indexBlock)
    self.file = file
    self.indexBlock = indexBlock
    self.index = index
    self.allowance = allowance
    dataLimit = footer.index.offset
    block = Block(noneOf: file)
    entries = Entries()
  }

  /// The size to which the compressed blocks of a table claim to expand; 0 if none is compressed.
  ///
  /// Never more than a walk would expand. Counting ends at the first fault, where a walk ends too.
  package static func expandedByteCount(of file: RawSpan) -> Int {
    let most = Allowance.expansionLimit(fileByteCount: file.byteCount)
    var sum = 0
    do throws(TableError) {
      let footer = try Footer(of: file)
      sum = footer.index.expandedByteCount(in: file)
      var allowance = Allowance(fileByteCount: file.byteCount)
      let index = try Block(footer.index, of: file, allowance: &allowance)
      var entries = Entries()
      try entries.start(index)
      while sum < most, try entries.next(in: index, allowance: &allowance) {
        var cursor = Cursor(index.contents.extracting(entries.value), offset: 0)
        let handle = try BlockHandle(.data, from: &cursor, limit: footer.index.offset)
        sum += handle.expandedByteCount(in: file)
      }
    } catch {}
    return min(sum, most)
  }

  /// Goes to the next entry, or returns false after the last one.
  ///
  /// After an error, every further call throws that error again.
  @_lifetime(self: copy self)
  package mutating func next() throws(TableError) -> Bool {
    if let failure { throw failure }
    do throws(TableError) {
      while true {
        if isInBlock {
          if try entries.next(in: block, allowance: &allowance) { return true }
          try leaveBlock()
        }
        guard try enterBlock() else { return false }
      }
    } catch {
      failure = error
      throw error
    }
  }

  /// The key of the current entry; meaningless unless `next` returned true.
  package var key: RawSpan {
    @_lifetime(borrow self)
    borrowing get { RawSpan(_elements: entries.key.bytes) }
  }

  /// The value of the current entry; meaningless unless `next` returned true.
  package var value: RawSpan {
    @_lifetime(borrow self)
    borrowing get { RawSpan(_elements: block.contents.extracting(entries.value)) }
  }

  /// Goes to the start of the next data block, or returns false after the last one.
  ///
  /// Blocks must follow one another and precede the index, so that a file cannot have one read
  /// twice.
  @_lifetime(self: copy self)
  private mutating func enterBlock() throws(TableError) -> Bool {
    guard try index.next(in: indexBlock, allowance: &allowance) else { return false }
    var cursor = Cursor(indexBlock.contents.extracting(index.value), offset: 0)
    let limit = file.byteCount - Footer.byteCount
    let handle = try BlockHandle(.data, from: &cursor, limit: limit)
    guard handle.offset >= dataEnd, handle.end <= dataLimit
    else { throw .overlappingBlocks(block: handle.offset) }
    dataEnd = handle.end
    block = try Block(handle, of: file, allowance: &allowance)
    try entries.start(block)
    isInBlock = true
    return true
  }

  /// Checks that the block's keys do not exceed its index key, and requires greater ones of the
  /// next.
  @_lifetime(self: copy self)
  private mutating func leaveBlock() throws(TableError) {
    isInBlock = false
    guard entries.raise(to: index.key) else { throw .badIndexKey(block: block.offset) }
  }
}
