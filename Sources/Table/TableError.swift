/// Which of a table's blocks is meant.
package enum BlockRole: Sendable, Hashable {
  /// The block that TensorFlow writes empty and nobody reads.
  case metaindex
  /// The block that says where the data blocks are.
  case index
  /// A block of entries.
  case data
}

extension BlockRole: CustomStringConvertible {
  /// The block's name within a message.
  package var description: String {
    switch self {
    case .metaindex: "metaindex"
    case .index: "index"
    case .data: "data"
    }
  }
}

/// What makes a run of bytes no sorted string table.
///
/// A `block` is the offset in the file of the block's first byte. An `entry` is the offset of the
/// entry's first byte in the block's contents, which are expanded if the block is compressed.
package enum TableError: Error, Hashable {
  /// There is no room for a footer.
  case tooShort(byteCount: Int)
  /// The footer does not end in a table's magic number.
  case badMagic
  /// The bytes that should say where a block is are not two numbers, or not numbers of a file.
  case badHandle(BlockRole)
  /// A handle reaches past the end of the file, or into the footer.
  case truncated(BlockRole, offset: Int, byteCount: Int)
  /// A data block shares bytes with an earlier one or with the index, or comes before an earlier one.
  case overlappingBlocks(block: Int)
  /// A block's bytes are not those that were written; both checksums are masked.
  case checksumMismatch(block: Int, stored: UInt32, computed: UInt32)
  /// A block is neither plain nor compressed by snappy.
  case badBlockType(block: Int, type: UInt8)
  /// A block's bytes are not what snappy makes.
  case corruptCompression(block: Int)
  /// A block would expand to more than one block, or what is left of one file, may.
  case expansionTooLarge(block: Int, byteCount: Int, limit: Int)
  /// A block's restart offsets are missing, out of order, or not where entries start.
  case badRestarts(block: Int)
  /// An entry does not lie in its block, or shares more of the previous key than there is.
  case badEntry(block: Int, entry: Int)
  /// A key is longer than any tensor's name.
  case keyTooLong(block: Int, entry: Int, byteCount: Int)
  /// The keys add up to more than a file of this size may expand to.
  case keysTooLarge(limit: Int)
  /// A key is not greater than the one before, or a block's first not greater than what the index
  /// puts before the block.
  case keysOutOfOrder(block: Int, entry: Int)
  /// The index gives a block a key that is less than the block's last.
  case badIndexKey(block: Int)
  /// Bytes end within what a cursor was asked for.
  case endOfBytes(offset: Int)
  /// A number of variable length has more bits than it may.
  case badVarint(offset: Int)
}

extension TableError: CustomStringConvertible {
  /// What is wrong, close to TensorFlow's words where it has any.
  package var description: String {
    switch self {
    case .tooShort(let byteCount):
      "file is too short to be an sstable: \(byteCount) bytes, expected at least \(Footer.byteCount)"
    case .badMagic: "not an sstable (bad magic number), expected 57fb808b247547db at its end"
    case .badHandle(let role):
      "bad block handle (\(role)), expected an offset and a size as varints"
    case .truncated(let role, let offset, let byteCount):
      "truncated: \(role) block of \(byteCount) bytes at \(offset) is not all there"
    case .overlappingBlocks(let block):
      "overlapping blocks at \(block), expected each behind the one before"
    case .checksumMismatch(let block, let stored, let computed):
      "block checksum mismatch at \(block): stored \(stored) vs. calculated \(computed)"
    case .badBlockType(let block, let type):
      "bad block type \(type) at \(block), expected 0 (plain) or 1 (snappy)"
    case .corruptCompression(let block):
      "corrupted compressed block contents at \(block), expected what snappy makes"
    case .expansionTooLarge(let block, let byteCount, let limit):
      "compressed block at \(block) is too large: \(byteCount) bytes, limit \(limit)"
    case .badRestarts(let block):
      "bad restart offsets in block at \(block), expected 0 and then ascending ones of entries"
    case .badEntry(let block, let entry):
      "bad entry at \(entry) in block at \(block), expected three lengths of bytes that are there"
    case .keyTooLong(let block, let entry, let byteCount):
      "key of \(byteCount) bytes is too long, entry at \(entry) in block at \(block), "
        + "expected at most \(Key.maximumByteCount)"
    case .keysTooLarge(let limit): "keys expand to more than \(limit) bytes"
    case .keysOutOfOrder(let block, let entry):
      "keys out of order, entry at \(entry) in block at \(block), expected ascending ones"
    case .badIndexKey(let block):
      "bad index key of block at \(block), expected none less than the block's last"
    case .endOfBytes(let offset): "bytes end too early, at \(offset)"
    case .badVarint(let offset): "bad varint at \(offset)"
    }
  }
}
