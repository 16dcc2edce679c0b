/// The kinds of blocks in a table.
package enum BlockRole: Sendable, Hashable {
  /// The block that TensorFlow writes empty and never reads.
  case metaindex
  /// The block with the handles of the data blocks.
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

/// Why bytes are not a sorted string table.
///
/// A `block` is the offset of a block in the file. An `entry` is the offset of an entry in the
/// block's contents, which are expanded if the block is compressed.
package enum TableError: Error, Hashable {
  /// The file is shorter than a footer.
  case tooShort(byteCount: Int)
  /// The footer does not end in a table's magic number.
  case badMagic
  /// A handle is not two numbers, or they cannot be an offset and a size in a file.
  case badHandle(BlockRole)
  /// A handle does not fit in the file, or into the footer.
  case truncated(BlockRole, offset: Int, byteCount: Int)
  /// A data block shares bytes with an earlier one or with the index, or comes before an earlier
  /// one.
  case overlappingBlocks(block: Int)
  /// The checksum of a block does not match; both checksums are masked.
  case checksumMismatch(block: Int, stored: UInt32, computed: UInt32)
  /// A block is neither plain nor compressed by snappy.
  case badBlockType(block: Int, type: UInt8)
  /// The bytes of a compressed block are not snappy's.
  case corruptCompression(block: Int)
  /// A block would expand to more than one block may, or than is left for its file.
  case expansionTooLarge(block: Int, byteCount: Int, limit: Int)
  /// A block's restart offsets are missing, out of order, or not where entries start.
  case badRestarts(block: Int)
  /// An entry does not fit in its block, or shares more bytes than the previous key has.
  case badEntry(block: Int, entry: Int)
  /// A key is longer than any tensor's name.
  case keyTooLong(block: Int, entry: Int, byteCount: Int)
  /// The keys together expand to more than a file of this size may.
  case keysTooLarge(limit: Int)
  /// A key is not greater than the one before, or the first key of a block is not greater than the
  /// previous block's index key.
  case keysOutOfOrder(block: Int, entry: Int)
  /// The index key of a block is less than the last key in the block.
  case badIndexKey(block: Int)
  /// The bytes end before the end of what was to be read.
  case endOfBytes(offset: Int)
  /// A varint has more bits than its type.
  case badVarint(offset: Int)
}

extension TableError: CustomStringConvertible {
  /// The fault, in TensorFlow's words where it has any.
  package var description: String {
    switch self {
    case .tooShort(let byteCount):
      "file is too short to be an sstable: \(byteCount) bytes, expected at least \(Footer.byteCount)"
    case .badMagic: "not an sstable (bad magic number), expected 57fb808b247547db at its end"
    case .badHandle(let role):
      "bad block handle (\(role)), expected an offset and a size as varints"
    case .truncated(let role, let offset, let byteCount):
      "truncated: \(role) block of \(byteCount) bytes at \(offset) does not fit in the file"
    case .overlappingBlocks(let block):
      "overlapping blocks at \(block), expected each after the one before"
    case .checksumMismatch(let block, let stored, let computed):
      "block checksum mismatch at \(block): stored \(stored) vs. calculated \(computed)"
    case .badBlockType(let block, let type):
      "bad block type \(type) at \(block), expected 0 (plain) or 1 (snappy)"
    case .corruptCompression(let block):
      "corrupted compressed block contents at \(block), expected snappy data"
    case .expansionTooLarge(let block, let byteCount, let limit):
      "compressed block at \(block) is too large: \(byteCount) bytes, limit \(limit)"
    case .badRestarts(let block):
      "bad restart offsets in block at \(block), expected 0, then ascending offsets of entries"
    case .badEntry(let block, let entry):
      "bad entry at \(entry) in block at \(block), expected three lengths, and as many bytes"
    case .keyTooLong(let block, let entry, let byteCount):
      "key of \(byteCount) bytes is too long, entry at \(entry) in block at \(block), "
        + "expected at most \(Key.maximumByteCount)"
    case .keysTooLarge(let limit): "keys expand to more than \(limit) bytes"
    case .keysOutOfOrder(let block, let entry):
      "keys out of order, entry at \(entry) in block at \(block), expected ascending keys"
    case .badIndexKey(let block):
      "bad index key of block at \(block), expected no less than the last key of the block"
    case .endOfBytes(let offset): "unexpected end of bytes at \(offset)"
    case .badVarint(let offset): "bad varint at \(offset)"
    }
  }
}
