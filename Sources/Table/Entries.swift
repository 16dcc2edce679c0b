/// Walks over the entries of one block after another, in order.
///
/// The walk does not own the block: the caller passes the same block to each call until `next`
/// returns false.
struct Entries: ~Copyable {
  /// The key of the current entry.
  private(set) var key = Key()
  /// Where the value of the current entry lies in the block's contents.
  private(set) var value = 0..<0
  private var position = 0
  private var end = 0
  private var restartCount = 0
  private var restartsSeen = 0
  private var nextRestart = Int.max

  /// Goes to the start of a block, whose keys must be greater than all before.
  ///
  /// - Throws: `badRestarts` unless the block ends in restart offsets, the first of which is 0.
  mutating func start(_ block: borrowing Block) throws(TableError) {
    // Set first, so that the range lies in the new block even if the block is refused.
    value = 0..<0
    let contents = block.contents
    guard contents.count >= 8 else { throw .badRestarts(block: block.offset) }
    var tail = Cursor(contents, offset: contents.count - 4)
    let count = Int(try tail.fixed32())
    guard count >= 1, count <= contents.count / 4 - 1
    else { throw .badRestarts(block: block.offset) }
    end = contents.count - 4 - count * 4
    position = 0
    restartCount = count
    restartsSeen = 0
    nextRestart = try restart(0, in: contents)
    guard nextRestart == 0 else { throw .badRestarts(block: block.offset) }
  }

  /// Goes to the next entry of the block, or returns false at its end.
  mutating func next(
    in block: borrowing Block, allowance: inout Allowance
  ) throws(TableError) -> Bool {
    guard position < end else {
      try checkEnd(block)
      return false
    }
    let contents = block.contents
    let isRestart = try passRestart(block)
    var cursor = Cursor(contents.extracting(first: end), offset: position)
    let shared: Int
    let suffix: Span<UInt8>
    do throws(TableError) {
      shared = Int(try cursor.varint32())
      let unsharedCount = try cursor.varint32()
      let valueCount = try cursor.varint32()
      suffix = Span(_bytes: try cursor.take(UInt64(unsharedCount)))
      _ = try cursor.take(UInt64(valueCount))
      value = cursor.offset - Int(valueCount)..<cursor.offset
    } catch {
      throw .badEntry(block: block.offset, entry: position)
    }
    guard shared <= (isRestart ? 0 : key.byteCount)
    else { throw .badEntry(block: block.offset, entry: position) }
    try advanceKey(keeping: shared, then: suffix, in: block, allowance: &allowance)
    position = cursor.offset
    return true
  }

  /// Requires the next key to be greater than another walk's key.
  ///
  /// - Returns: false, without effect, if this walk's last key is greater already.
  mutating func raise(to floor: borrowing Key) -> Bool {
    guard !Key.precedes(floor.bytes, key.bytes) else { return false }
    key.raise(to: floor.bytes)
    return true
  }

  private mutating func advanceKey(
    keeping shared: Int, then suffix: Span<UInt8>, in block: borrowing Block,
    allowance: inout Allowance
  ) throws(TableError) {
    // Neither number exceeds the bytes of a block or 64 KiB, so the sum cannot overflow.
    let byteCount = shared + suffix.count
    guard byteCount <= Key.maximumByteCount
    else { throw .keyTooLong(block: block.offset, entry: position, byteCount: byteCount) }
    try allowance.spend(key: byteCount)
    guard key.advance(keeping: shared, then: suffix)
    else { throw .keysOutOfOrder(block: block.offset, entry: position) }
  }

  /// Returns whether the block lists the current position as a restart, and counts that restart.
  private mutating func passRestart(_ block: borrowing Block) throws(TableError) -> Bool {
    guard position >= nextRestart else { return false }
    guard position == nextRestart else { throw .badRestarts(block: block.offset) }
    restartsSeen += 1
    nextRestart =
      restartsSeen < restartCount ? try restart(restartsSeen, in: block.contents) : Int.max
    return true
  }

  /// Throws unless every restart was an entry.
  ///
  /// An empty block lists one restart, at 0.
  private func checkEnd(_ block: borrowing Block) throws(TableError) {
    guard restartsSeen == restartCount || (end == 0 && restartCount == 1)
    else { throw .badRestarts(block: block.offset) }
  }

  private func restart(_ index: Int, in contents: Span<UInt8>) throws(TableError) -> Int {
    var cursor = Cursor(contents, offset: end + index * 4)
    return Int(try cursor.fixed32())
  }
}
