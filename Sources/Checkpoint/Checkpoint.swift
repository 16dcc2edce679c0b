package import WarmstartTensorModel

/// The parsed index of a checkpoint: its tensors, and where the bytes of each are.
///
/// Immutable, and shared by all clients that have the generation open. Holds no file.
package struct Checkpoint: Sendable {
  /// A run of a data file: a tensor, or one slice of a tensor.
  ///
  /// In a V1 checkpoint it is one record of a table.
  package struct StoredBytes: Sendable, Hashable {
    /// The shard of a slice whose entry is missing in the index; no file has this number.
    static let missing = Int32.min

    /// The number of the data file as stored, which may exceed those that the header announces, or
    /// the position of the V1 table.
    package let shard: Int32
    /// What the bytes are compared with; of a V1 record nothing, because its block has a checksum.
    package let checksum: StoredChecksum
    /// The offset in the data file as stored, which may lie outside the file.
    ///
    /// For a V1 record, the offset of its block.
    package let offset: Int
    /// The length as stored.
    ///
    /// For a V1 record, the length of its elements; 0 for strings.
    package let byteCount: Int
  }

  /// The format of the files.
  package let format: CheckpointFormat
  /// Names, dtypes, shapes and slices.
  package let catalog: Catalog
  /// The number of data files that the header announces, or the number of files that are
  /// checkpoints on their own.
  package let shardCount: Int
  /// The tensors whose elements are stored in the byte order that is not this machine's.
  private let bigEndian: BigEndian
  /// The stored runs of all tensors, in catalog order.
  package let stored: [StoredBytes]
  /// The length of all tensors as stored, in bytes.
  package let byteCount: Int
  private let storedEnds: [Int]
  /// Indexes of slices, for tensors that have many slices.
  let sliceIndexes: [Int: SliceIndex]
  /// The places of the stored runs in the tables of a V1 checkpoint; nil for a V2 checkpoint.
  let records: Records?
  /// The names of layers in Keras's files.
  let layers: LayerNames
  /// The bytes from one index to the next on each axis, for tensors that are not stored in C order
  /// without gaps.
  ///
  /// Such a tensor has one run, from its first element to its last.
  private let steps: [Int: [Int]]

  /// Which tensors have elements in the other byte order.
  enum BigEndian: Sendable {
    case none, all
    case some(Set<Int>)
  }

  init(
    _ format: CheckpointFormat, catalog: Catalog, shardCount: Int, bigEndian: BigEndian = .none,
    layers: LayerNames = LayerNames(), stored: [StoredBytes], storedEnds: [Int],
    records: Records? = nil, steps: [Int: [Int]] = [:]
  ) {
    self.layers = layers
    self.format = format
    self.steps = steps
    self.records = records
    self.catalog = catalog
    self.shardCount = shardCount
    self.bigEndian = bigEndian
    self.stored = stored
    self.storedEnds = storedEnds
    var indexes: [Int: SliceIndex] = [:]
    for tensor in storedEnds.indices where catalog.isSliced(tensor) {
      let slices = catalog.slices(tensor)
      if slices.count >= Checkpoint.indexedCount { indexes[tensor] = SliceIndex(slices) }
    }
    sliceIndexes = indexes
    byteCount = stored.reduce(0) { sum, run in
      sum.addingReportingOverflow(max(0, run.byteCount)).overflow
        ? .max : sum + max(0, run.byteCount)
    }
  }

  /// The fewest slices that get an index; chosen, not tuned.
  private static let indexedCount = 16

  /// Whether a tensor's elements are stored in the byte order that is not this machine's.
  package func isBigEndian(_ tensor: Int) -> Bool {
    switch bigEndian {
    case .none: false
    case .all: true
    case .some(let tensors): tensors.contains(tensor)
    }
  }

  /// The bytes from one index to the next on each axis; nil for a tensor that is stored in C order
  /// without gaps, or in slices.
  func steps(of tensor: Int) -> [Int]? {
    steps.isEmpty ? nil : steps[tensor]
  }

  /// The bytes from the first element to the end of the last one, for steps that are not negative;
  /// the caller has checked that all offsets fit in an `Int`.
  static func spannedByteCount(_ lengths: [Int], _ steps: [Int], width: Int) -> Int {
    guard !lengths.contains(0) else { return 0 }
    return zip(lengths, steps).reduce(width) { $0 + ($1.0 - 1) * $1.1 }
  }

  /// The positions in `stored` of a tensor's runs: one, or one for each slice in catalog order.
  package func storedRange(_ tensor: Int) -> Range<Int> {
    (tensor == 0 ? 0 : storedEnds[tensor - 1])..<storedEnds[tensor]
  }

  /// The length of a tensor as stored, in bytes.
  package func byteCount(of tensor: Int) -> Int {
    storedRange(tensor).reduce(0) { sum, run in
      let (next, overflow) = sum.addingReportingOverflow(max(0, stored[run].byteCount))
      return overflow ? .max : next
    }
  }

  /// The memory that this value takes, in bytes, approximately.
  package var memoryByteCount: Int {
    stored.count * MemoryLayout<StoredBytes>.stride + storedEnds.count * 8
      + catalog.memoryByteCount + (records?.memoryByteCount ?? 0) + layers.memoryByteCount
      + sliceIndexes.values.reduce(0) { $0 + $1.memoryByteCount }
      + steps.values.reduce(0) { $0 + 96 + 8 * $1.count }
  }
}
