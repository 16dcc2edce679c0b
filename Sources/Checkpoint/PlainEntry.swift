import WarmstartTable

/// The entry of a tensor that is stored whole, parsed without allocating anything.
///
/// Writers spell nearly all entries alike: known fields, each once, by ascending numbers. Whatever is
/// spelled otherwise is left to protobuf, which gives the same for what is parsed here.
struct PlainEntry {
  /// What `parse` leaves in place of a field that is absent.
  private(set) var dtype: Int32 = 0
  private(set) var shard: Int32 = 0
  private(set) var offset = 0
  private(set) var byteCount = 0
  private(set) var maskedChecksum: UInt32 = 0

  /// Parses a value and puts the lengths of its axes in place of others; nil if it is not plain.
  init?(_ value: RawSpan, lengths: inout [Int]) {
    lengths.removeAll(keepingCapacity: true)
    var cursor = Cursor(value)
    do throws(TableError) {
      var last: UInt32 = 0
      while !cursor.isAtEnd {
        let tag = try cursor.varint32()
        guard tag > last, try parse(tag, &cursor, &lengths) else { return nil }
        last = tag
      }
    } catch {
      return nil
    }
  }

  /// Parses one field; false if it is not a plain one.
  private mutating func parse(
    _ tag: UInt32, _ cursor: inout Cursor, _ lengths: inout [Int]
  ) throws(TableError) -> Bool {
    switch tag {
    case PlainEntry.varint(1):
      guard let dtype = Int32(exactly: try cursor.varint64()) else { return false }
      self.dtype = dtype
    case PlainEntry.message(2):
      return try PlainEntry.parseShape(try cursor.take(UInt64(try cursor.varint32())), &lengths)
    case PlainEntry.varint(3):
      guard let shard = Int32(exactly: try cursor.varint64()) else { return false }
      self.shard = shard
    case PlainEntry.varint(4): offset = Int(truncatingIfNeeded: try cursor.varint64())
    case PlainEntry.varint(5): byteCount = Int(truncatingIfNeeded: try cursor.varint64())
    case PlainEntry.fixed32(6): maskedChecksum = try cursor.fixed32()
    default: return false
    }
    return true
  }

  /// Parses axes, each a message with its length or nothing.
  private static func parseShape(
    _ shape: RawSpan, _ lengths: inout [Int]
  ) throws(TableError) -> Bool {
    var cursor = Cursor(shape)
    while !cursor.isAtEnd {
      guard try cursor.varint32() == message(2) else { return false }
      var axis = Cursor(try cursor.take(UInt64(try cursor.varint32())))
      guard !axis.isAtEnd else {
        lengths.append(0)
        continue
      }
      guard try axis.varint32() == varint(1) else { return false }
      lengths.append(Int(truncatingIfNeeded: try axis.varint64()))
      guard axis.isAtEnd else { return false }
    }
    return true
  }

  private static func varint(_ field: UInt32) -> UInt32 { field << 3 }
  private static func message(_ field: UInt32) -> UInt32 { field << 3 | 2 }
  private static func fixed32(_ field: UInt32) -> UInt32 { field << 3 | 5 }
}
