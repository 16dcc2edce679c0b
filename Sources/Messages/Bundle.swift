internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf

/// The header of a V2 checkpoint's index: `BundleHeaderProto`.
package struct BundleHeader: Sendable, Hashable {
  /// What the header may unpack to: an honest one has some 100 bytes.
  private static let unpackLimit = 64 << 10

  /// Which readers a checkpoint's writer had in mind: `VersionDef`.
  package struct Version: Sendable, Hashable {
    package var producer = 0
    package var minimumConsumer = 0
    package var badConsumers: [Int] = []

    package init() {}
  }

  package var shardCount: Int
  package var isBigEndian: Bool
  package var version = Version()

  /// Unpacks the value of the empty key.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: BundleHeader.unpackLimit,
      { unsafe tensorflow__bundle_header_proto__unpack($0, $1, $2) })
    let header = unsafe message.pointee
    shardCount = unsafe Int(header.num_shards)
    isBigEndian = unsafe header.endianness == TENSORFLOW__BUNDLE_HEADER_PROTO__ENDIANNESS__BIG
    guard let version = unsafe header.version?.pointee else { return }
    self.version.producer = unsafe Int(version.producer)
    self.version.minimumConsumer = unsafe Int(version.min_consumer)
    self.version.badConsumers = unsafe UnsafeBufferPointer(
      start: version.bad_consumers, count: version.n_bad_consumers
    ).map { Int($0) }
  }
}

/// One axis of a slice as a checkpoint spells it.
package struct StoredExtent: Sendable, Hashable {
  package var start: Int
  /// nil for the whole axis, which is another spelling of it and gives another key.
  package var length: Int?

  package init(start: Int, length: Int?) {
    self.start = start
    self.length = length
  }
}

/// The entry of a tensor or a slice in a V2 checkpoint's index: `BundleEntryProto`.
package struct BundleEntry: Sendable, Hashable {
  /// TensorFlow's number, not necessarily one that exists.
  package var dtype: Int32 = 0
  /// The lengths of the axes, as stored: nothing is checked.
  package var shape: [Int] = []
  package var shard = 0
  package var offset = 0
  package var byteCount = 0
  /// Masked CRC-32C; 0 if absent.
  package var maskedChecksum: UInt32 = 0
  /// The slices that the tensor is stored in; none if this entry has the bytes.
  package var slices: [[StoredExtent]] = []

  /// Unpacks a value; throws `tooLarge` if that takes more memory than the limit.
  ///
  /// An honest entry takes some 300 bytes, plus 100 for each slice.
  package init(
    unpacking bytes: RawSpan, _ scratch: Scratch, limit: Int = .max
  ) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: limit,
      { unsafe tensorflow__bundle_entry_proto__unpack($0, $1, $2) })
    let entry = unsafe message.pointee
    dtype = unsafe entry.dtype
    shard = unsafe Int(entry.shard_id)
    offset = unsafe Int(entry.offset)
    byteCount = unsafe Int(entry.size)
    maskedChecksum = unsafe entry.crc32c
    if let shape = unsafe entry.shape?.pointee {
      self.shape = unsafe elements(shape.dim, shape.n_dim).map { unsafe Int($0?.pointee.size ?? 0) }
    }
    for index in 0..<(unsafe entry.n_slices) {
      guard let slice = unsafe entry.slices[index]?.pointee else { continue }
      slices.append(
        unsafe elements(slice.extent, slice.n_extent).map { element in
          guard let extent = unsafe element?.pointee else {
            return StoredExtent(start: 0, length: nil)
          }
          let hasLength =
            unsafe extent.has_length_case
            == TENSORFLOW__TENSOR_SLICE_PROTO__EXTENT__HAS_LENGTH_LENGTH
          return unsafe StoredExtent(
            start: Int(extent.start), length: hasLength ? Int(extent.length) : nil)
        })
    }
  }
}
