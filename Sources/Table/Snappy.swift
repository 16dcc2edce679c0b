import CWarmstartSnappy

/// Raw snappy blocks (not the framed format), as tables of old or foreign writers hold them.
enum Snappy {
  /// The most bytes that one block may expand to; chosen, not tuned.
  ///
  /// leveldb's blocks are 256 KiB unless one value is larger, and a snappy block can claim up to 4
  /// GiB. 1 GiB is the largest single allocation that a client's file may cause.
  static let maximumByteCount = 1 << 30

  /// Expands a block.
  ///
  /// Allocates what the bytes were found to expand to, not what they claim. See `snappy-c.h`.
  ///
  /// - Parameters:
  ///   - block: The offset of the block, for errors.
  /// - Throws: `expansionTooLarge` above the limit or `maximumByteCount`, `corruptCompression` if
  ///   the bytes are not snappy's.
  static func expand(
    _ compressed: RawSpan, limit: Int, block: Int
  ) throws(TableError) -> [UInt8] {
    let limit = min(limit, maximumByteCount)
    // The pointers stay within the span and the array's storage while the calls last.
    return try unsafe compressed.withUnsafeBytes { source throws(TableError) -> [UInt8] in
      let bytes = unsafe source.bindMemory(to: CChar.self).baseAddress
      var claimed = 0
      guard unsafe snappy_uncompressed_length(bytes, source.count, &claimed) == SNAPPY_OK
      else { throw .corruptCompression(block: block) }
      guard claimed >= 0, claimed <= limit
      else { throw .expansionTooLarge(block: block, byteCount: claimed, limit: limit) }
      guard unsafe snappy_validate_compressed_buffer(bytes, source.count) == SNAPPY_OK
      else { throw .corruptCompression(block: block) }
      var status = SNAPPY_OK
      let expanded = unsafe [UInt8](unsafeUninitializedCapacity: claimed) { target, count in
        count = claimed
        let chars = unsafe UnsafeMutableRawBufferPointer(target).bindMemory(to: CChar.self)
        status = unsafe snappy_uncompress(bytes, source.count, chars.baseAddress, &count)
        if status != SNAPPY_OK { count = 0 }
      }
      guard status == SNAPPY_OK, expanded.count == claimed
      else { throw .corruptCompression(block: block) }
      return expanded
    }
  }
}
