package import WarmstartProtobuf

/// The header of a V2 checkpoint's index, TensorFlow's `BundleHeaderProto`.
///
/// It is the value of the empty key.
package struct BundleHeader {
  /// The number of data files.
  package let shardCount: Int
  package let isBigEndian: Bool
  let version: WriterVersion

  /// Parses the header.
  package init(parsing message: Span<UInt8>) throws(MessageError) {
    var shardCount: Int32 = 0
    var endianness: Int32 = 0
    var version = WriterVersion()
    var reader = FieldReader(message)
    while let field = try reader.next() {
      switch field {
      case (1, .varint(let value)): shardCount = Int32(truncatingIfNeeded: value)
      case (2, .varint(let value)): endianness = Int32(truncatingIfNeeded: value)
      case (3, .bytes(let range)): try version.merge(parsing: message.extracting(range))
      default: break
      }
    }
    self.shardCount = Int(shardCount)
    isBigEndian = endianness == 1
    self.version = version
  }
}

/// The entry of a tensor or a slice in a V2 checkpoint's index, TensorFlow's `BundleEntryProto`.
///
/// Parsing checks only protobuf's own structure. The reader parses all entries of an index into one
/// value, so that an entry allocates memory only if it has slices.
package struct BundleEntry {
  /// The memory that one slice takes beside its extents, in bytes: an array, and its place in the
  /// list.
  private static let sliceByteCount = 64
  /// The longest shape whose memory is reused for the next entry: the longest valid one.
  private static let keptRank = BundleReader.maximumRank

  /// TensorFlow's number of the dtype, which may be unknown.
  package private(set) var dtype: Int32 = 0
  /// The lengths of the axes.
  package private(set) var shape: [Int] = []
  /// The number of the data file.
  package private(set) var shard: Int32 = 0
  /// Where the tensor's bytes begin in the data file.
  package private(set) var offset = 0
  package private(set) var byteCount = 0
  /// Masked CRC-32C; 0 if absent.
  package private(set) var maskedChecksum: UInt32 = 0
  /// The slices that the tensor is stored in; empty if this entry has the bytes.
  package private(set) var slices: [[StoredExtent]] = []

  package init() {}

  /// Replaces the entry by the one in a message.
  ///
  /// - Parameters:
  ///   - limit: The memory that parsing may take, in bytes.
  /// - Throws: `tooLarge` above the limit, `malformed` if the bytes are not a message.
  package mutating func parse(_ message: Span<UInt8>, limit: Int = .max) throws(MessageError) {
    (dtype, shard, offset, byteCount, maskedChecksum) = (0, 0, 0, 0, 0)
    shape.removeAll(keepingCapacity: shape.count <= BundleEntry.keptRank)
    if !slices.isEmpty { slices = [] }
    var allowance = limit
    var reader = FieldReader(message)
    while let field = try reader.next() {
      switch field {
      case (1, .varint(let value)): dtype = Int32(truncatingIfNeeded: value)
      case (2, .bytes(let range)):
        try shape.append(parsing: message.extracting(range), within: &allowance)
      case (3, .varint(let value)): shard = Int32(truncatingIfNeeded: value)
      case (4, .varint(let value)): offset = Int(truncatingIfNeeded: value)
      case (5, .varint(let value)): byteCount = Int(truncatingIfNeeded: value)
      case (6, .fixed32(let value)): maskedChecksum = value
      case (7, .bytes(let range)):
        try allowance.spend(BundleEntry.sliceByteCount)
        slices.append(
          try [StoredExtent](parsing: message.extracting(range), within: &allowance))
      default: break
      }
    }
  }
}
