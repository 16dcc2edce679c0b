/// A walk over the entries of one block after another, in order, each once.
///
/// The walk does not hold the block; it is given the same one until it says that it is at its end.
struct Entries: ~Copyable {
  /// The key of the entry that the walk is at.
  private(set) var key = Key()
  /// Where in the block's contents the value of that entry is.
  private(set) var value = 0..<0
  private var position = 0
  private var end = 0
  private var restartCount = 0
  private var restartsSeen = 0
  private var nextRestart = Int.max

  /// Goes to the start of a block; keys must go on to be greater than the last one.
  ///
  /// Throws `badRestarts` unless the block ends in restart offsets of which the first is 0.
  mutating func start(_ block: borrowing Block) throws(TableError) {
    // First of all, so that it lies in the new block even if that is refused.
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

  /// Makes the next key have to be greater than another walk's.
  ///
  /// Returns false, and changes nothing, if the last key is greater than that one already.
  mutating func raise(to floor: borrowing Key) -> Bool {
    guard !Key.precedes(floor.bytes, key.bytes) else { return false }
    key.raise(to: floor.bytes)
    return true
  }

  private mutating func advanceKey(
    keeping shared: Int, then suffix: Span<UInt8>, in block: borrowing Block,
    allowance: inout Allowance
  ) throws(TableError) {
    // Neither number can be more than a block has bytes, or 64 KiB; their sum cannot overflow.
    let byteCount = shared + suffix.count
    guard byteCount <= Key.maximumByteCount
    else { throw .keyTooLong(block: block.offset, entry: position, byteCount: byteCount) }
    try allowance.spend(key: byteCount)
    guard key.advance(keeping: shared, then: suffix)
    else { throw .keysOutOfOrder(block: block.offset, entry: position) }
  }

  /// Notes that an entry starts here, and says whether the block lists it as a restart.
  private mutating func passRestart(_ block: borrowing Block) throws(TableError) -> Bool {
    guard position >= nextRestart else { return false }
    guard position == nextRestart else { throw .badRestarts(block: block.offset) }
    restartsSeen += 1
    nextRestart =
      restartsSeen < restartCount ? try restart(restartsSeen, in: block.contents) : Int.max
    return true
  }

  /// Every restart must have been an entry, but that an empty block still lists one, at 0.
  private func checkEnd(_ block: borrowing Block) throws(TableError) {
    guard restartsSeen == restartCount || (end == 0 && restartCount == 1)
    else { throw .badRestarts(block: block.offset) }
  }

  private func restart(_ index: Int, in contents: Span<UInt8>) throws(TableError) -> Int {
    var cursor = Cursor(contents, offset: end + index * 4)
    return Int(try cursor.fixed32())
  }
}
