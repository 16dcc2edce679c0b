package import WarmstartTensorModel

/// The index of a checkpoint, parsed: what it holds, and where the bytes of each tensor are.
///
/// Immutable, and shared by everybody who has the generation open. Holds no file.
package struct Checkpoint: Sendable {
  /// A run of a data file with a checksum of its own: a tensor, or one slice of a tensor.
  ///
  /// Of a V1 checkpoint it is a record of a table, with the block that it is in.
  package struct StoredBytes: Sendable, Hashable {
    /// The shard of a slice whose entry the index lacks; no file holds that.
    static let missing = Int32.min

    /// The data file, as stored, or the V1 table; not necessarily one that the header announces.
    package let shard: Int32
    /// Masked CRC-32C of the run.
    package let maskedChecksum: UInt32
    /// In bytes from the start of the data file, as stored, not checked against the file.
    ///
    /// Of a V1 record, where its block begins.
    package let offset: Int
    /// Of a V1 record, what its elements come to; 0 for strings.
    package let byteCount: Int
  }

  /// Names, dtypes, shapes and slices.
  package let catalog: Catalog
  /// The number of data files that the header announces, or of V1 tables.
  package let shardCount: Int
  /// Whether the elements' bytes are in the other order than this machine's.
  package let isBigEndian: Bool
  /// The runs of all tensors, in catalog order.
  package let stored: [StoredBytes]
  /// The bytes of all tensors.
  package let byteCount: Int
  private let storedEnds: [Int]
  /// The indexes of those tensors' slices that are many, by tensor.
  let sliceIndexes: [Int: SliceIndex]
  /// Where the runs are in the tables of a V1 checkpoint, whose bytes have to be decoded.
  let records: Records?

  init(
    catalog: Catalog, shardCount: Int, isBigEndian: Bool, stored: [StoredBytes],
    storedEnds: [Int], records: Records? = nil
  ) {
    self.records = records
    self.catalog = catalog
    self.shardCount = shardCount
    self.isBigEndian = isBigEndian
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

  /// Slices that are fewer are looked at one by one; chosen, not tuned.
  private static let indexedCount = 16

  /// The format of the files.
  package var format: CheckpointFormat { records == nil ? .v2 : .v1 }

  /// The positions in `stored` of a tensor's runs: one, or one for each slice in catalog order.
  package func storedRange(_ tensor: Int) -> Range<Int> {
    (tensor == 0 ? 0 : storedEnds[tensor - 1])..<storedEnds[tensor]
  }

  /// The bytes of a tensor as stored.
  package func byteCount(of tensor: Int) -> Int {
    storedRange(tensor).reduce(0) { sum, run in
      let (next, overflow) = sum.addingReportingOverflow(max(0, stored[run].byteCount))
      return overflow ? .max : next
    }
  }

  /// The memory that this value takes, in bytes, about.
  package var memoryByteCount: Int {
    stored.count * MemoryLayout<StoredBytes>.stride + storedEnds.count * 8
      + catalog.memoryByteCount + (records?.memoryByteCount ?? 0)
      + sliceIndexes.values.reduce(0) { $0 + $1.memoryByteCount }
  }
}
