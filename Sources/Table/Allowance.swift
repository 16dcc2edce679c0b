/// What the reader of one file may still expand.
///
/// A few bytes can stand for many: an entry repeats the start of its predecessor's key by a length,
/// and snappy repeats up to 64 bytes by an offset. The work and memory that a file costs must stay
/// in proportion to its size.
struct Allowance {
  private let keyLimit: Int
  private var keyByteCount: Int
  private var expandedByteCount: Int

  /// Starts with what a file of this size may expand.
  ///
  /// A file in memory is far below 2^58 bytes, so no product overflows.
  init(fileByteCount: Int) {
    keyLimit = fileByteCount * Allowance.keyFactor + Allowance.keyBase
    keyByteCount = keyLimit
    expandedByteCount = Allowance.expansionLimit(fileByteCount: fileByteCount)
  }

  /// The most bytes that the compressed blocks of a file of this size may expand to.
  static func expansionLimit(fileByteCount: Int) -> Int {
    fileByteCount * Allowance.expansionFactor + Allowance.expansionBase
  }

  /// Subtracts the whole length of a key; throws `keysTooLarge` if less is left.
  mutating func spend(key byteCount: Int) throws(TableError) {
    guard byteCount <= keyByteCount else { throw .keysTooLarge(limit: keyLimit) }
    keyByteCount -= byteCount
  }

  /// Expands a compressed block within what is left, and subtracts its size.
  mutating func expand(_ compressed: RawSpan, block: Int) throws(TableError) -> [UInt8] {
    let expanded = try Snappy.expand(compressed, limit: expandedByteCount, block: block)
    expandedByteCount -= expanded.count
    return expanded
  }

  /// Writers store every 16th key whole, so honest keys expand less than 17 times; doubled.
  private static let keyFactor = 32
  /// One key of the greatest length.
  private static let keyBase = Key.maximumByteCount
  /// Snappy's best is 64 bytes from 3, which is less than 22 times; rounded up.
  private static let expansionFactor = 32
  /// A few blocks of the usual 256 KiB; chosen, not tuned.
  private static let expansionBase = 1 << 20
}
