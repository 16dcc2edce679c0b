import WarmstartKernel
import WarmstartProtobuf
import WarmstartTable
package import WarmstartTensorModel

/// Parses the index of a V2 checkpoint ("tensor bundle") into a `Checkpoint`.
///
/// The entry of the empty key is the header. A tensor that is stored in slices has an entry that
/// lists them and has no bytes. Each slice has an entry with bytes. Its key is in OrderedCode,
/// which begins with a zero byte, so slices sort before tensors, unless a tensor's name begins with
/// a zero byte too.
package struct BundleReader {
  /// The longest index that is read, in bytes: some 4 million tensors; chosen, not tuned.
  package static let maximumIndexByteCount = 256 << 20
  /// The most axes of a shape, as in TensorFlow.
  static let maximumRank = 254

  /// The most memory that reading an index may take, in bytes.
  ///
  /// In an honest index a tensor takes some 30 bytes, a slice 45, and a name a sixteenth of its
  /// length or more, for which the reader holds less than fifteen times as much. Entries of a
  /// hostile index have six bytes.
  ///
  /// - Parameters:
  ///   - byteCount: The length of the file.
  ///   - expanded: The length to which its compressed blocks expand.
  package static func memoryByteCount(ofIndex byteCount: Int, expanding expanded: Int = 0) -> Int {
    (min(byteCount, maximumIndexByteCount) + expanded) * 16 + (64 << 10)
  }

  /// The most bytes that the keys of listed slices may have.
  ///
  /// Writers store every 16th key whole, so honest keys are less than 17 times as long as stored;
  /// doubled.
  private static func keyByteCount(ofIndex byteCount: Int) -> Int {
    byteCount * 32 + (1 << 20)
  }

  private var header: BundleHeader?
  private var catalog = Catalog()
  private var stored: [Checkpoint.StoredBytes] = []
  private var storedEnds: [Int] = []
  /// Entries whose keys begin with a zero byte: slices, or tensors with odd names.
  private var codedEntries: [(key: [UInt8], entry: BundleEntry)] = []
  private var codedPositions: [[UInt8]: Int] = [:]
  private var listed: Set<Int> = []
  private let limit: Int
  /// What is left of `limit`.
  private var allowance: Int
  /// What is left of the bytes that the keys of listed slices may have.
  private var keyAllowance: Int
  private var steps: CheckedSteps

  private init(
    indexByteCount: Int, expanding expanded: Int, checkIn: @escaping () throws(Problem) -> Void
  ) {
    steps = CheckedSteps(checkIn)
    limit = BundleReader.memoryByteCount(ofIndex: indexByteCount, expanding: expanded)
    allowance = limit
    keyAllowance = BundleReader.keyByteCount(ofIndex: indexByteCount + expanded)
  }

  /// Reads and parses an index.
  ///
  /// - Parameters:
  ///   - reserve: Gets the memory that reading takes in all, before it is taken; throws to refuse
  ///     it.
  ///   - checkIn: Throws if no client waits for the result any more; called between steps.
  static func read(
    _ file: IndexFile, reserving reserve: (Int) throws(Problem) -> Void,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) -> Checkpoint {
    guard file.byteCount <= maximumIndexByteCount else {
      throw .tooLong(part: "an index", byteCount: file.byteCount, limit: maximumIndexByteCount)
    }
    // Reserve nothing for a file that is not a table: a file of any size then costs its owner
    // nothing.
    _ = try file.indexRange()
    do { try reserve(memoryByteCount(ofIndex: file.byteCount)) } catch { throw .stopped(error) }
    let bytes = try file.read(0..<file.byteCount)
    let expanded = TableReader.expandedByteCount(of: bytes.rawSpan)
    if expanded > 0 {
      do {
        try reserve(memoryByteCount(ofIndex: bytes.count, expanding: expanded))
      } catch {
        throw .stopped(error)
      }
    }
    return try parse(bytes, expanding: expanded, checkIn)
  }

  /// Parses an index that is in memory.
  package static func parse(_ bytes: [UInt8]) throws(Problem) -> Checkpoint {
    do throws(IndexError) {
      return try parse(bytes, expanding: TableReader.expandedByteCount(of: bytes.rawSpan), {})
    } catch {
      throw Problem(error, in: "index file")
    }
  }

  private static func parse(
    _ bytes: [UInt8], expanding expanded: Int, _ checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) -> Checkpoint {
    var reader = BundleReader(
      indexByteCount: bytes.count, expanding: expanded, checkIn: checkIn)
    try reader.readEntries(bytes)
    return try reader.finish()
  }

  // MARK: Entries

  private mutating func readEntries(_ bytes: [UInt8]) throws(IndexError) {
    var entry = BundleEntry()
    var table = try openTable(bytes.rawSpan)
    while try advance(&table) {
      try steps.step()
      let key = Span<UInt8>(_bytes: table.key)
      let value = Span<UInt8>(_bytes: table.value)
      if header == nil {
        header = try header(key, value)
      } else if !key.isEmpty, key[0] == 0 {
        // A value of its own: it is kept, with its arrays.
        var entry = BundleEntry()
        try parse(value, of: key, into: &entry)
        try takeCoded(Array(table.key), entry)
      } else {
        try parse(value, of: key, into: &entry)
        try spend(keyByteCount: key.count, entry, 96)
        try append(key, entry)
      }
    }
    guard header != nil else { throw .noEntries }
  }

  private func header(_ key: Span<UInt8>, _ value: Span<UInt8>) throws(IndexError) -> BundleHeader {
    guard key.isEmpty else { throw .headerMissing(before: Name(copying: key)) }
    let header: BundleHeader
    do { header = try BundleHeader(parsing: value) } catch { throw .headerMalformed }
    if let fault = header.version.fault { throw .unsupportedVersion(fault) }
    return header
  }

  private func parse(
    _ value: Span<UInt8>, of key: Span<UInt8>, into entry: inout BundleEntry
  ) throws(IndexError) {
    do {
      try entry.parse(value, limit: allowance)
    } catch .tooLarge {
      throw .tooLarge(limit: limit)
    } catch {
      throw .entryMalformed(Name(copying: key))
    }
  }

  private mutating func takeCoded(_ key: [UInt8], _ entry: BundleEntry) throws(IndexError) {
    // The entry is kept with its arrays, which have room for up to twice their extents.
    let extents = entry.slices.reduce(0) {
      $0 + $1.capacity * MemoryLayout<StoredExtent>.stride
    }
    try spend(keyByteCount: key.count, entry, 256 + extents)
    codedPositions[key] = codedEntries.count
    codedEntries.append((key, entry))
  }

  /// Subtracts the memory that an entry takes from the allowance; throws `tooLarge` if less is
  /// left.
  ///
  /// `own` is the entry's share of the reader's arrays and dictionaries.
  private mutating func spend(
    keyByteCount: Int, _ entry: BundleEntry, _ own: Int
  ) throws(IndexError) {
    let slices = entry.slices.reduce(0) { $0 + 128 + $1.count * 16 }
    try spend(keyByteCount + entry.shape.count * 8 + own + slices)
  }

  private mutating func spend(_ byteCount: Int) throws(IndexError) {
    guard byteCount <= allowance else { throw .tooLarge(limit: limit) }
    allowance -= byteCount
  }

  /// Subtracts the length of the name in a slice's key, which has to be built to look the slice up.
  private mutating func spendKey(_ byteCount: Int) throws(IndexError) {
    guard byteCount <= keyAllowance else { throw .tooManySliceKeys }
    keyAllowance -= byteCount
  }

  private mutating func append(_ key: Span<UInt8>, _ entry: BundleEntry) throws(IndexError) {
    guard catalog.count < Catalog.maximumCount else {
      throw .tooManyTensors(limit: Catalog.maximumCount)
    }
    guard let dtype = DataType(rawValue: entry.dtype), dtype != .resource, dtype.isTensorFlows
    else {
      throw .unknownDtype(entry.dtype, Name(copying: key))
    }
    let shape = Shape(entry.shape)
    guard shape.rank <= BundleReader.maximumRank, shape.elementCount != nil else {
      throw .invalidShape(entry.shape, Name(copying: key))
    }
    if entry.slices.isEmpty {
      stored.append(entry.storedBytes)
      storedEnds.append(stored.count)
      catalog.append(key, dtype, entry.shape.span)
    } else {
      try appendSliced(Name(copying: key), dtype, shape, entry)
    }
  }

  /// Adds a tensor that is stored in slices.
  ///
  /// The entries of its slices were read before.
  private mutating func appendSliced(
    _ name: Name, _ dtype: DataType, _ shape: Shape, _ entry: BundleEntry
  ) throws(IndexError) {
    var slices: [TensorSlice] = []
    for extents in entry.slices {
      try steps.step()
      slices.append(try slice(extents, of: name, shape))
      try spendKey(name.bytes.count)
      let coded = SliceKey.encode(
        name: name.bytes, extents: extents.map { ($0.start, $0.length) })
      if let position = codedPositions[coded] {
        listed.insert(position)
        let slice = codedEntries[position].entry
        guard slice.dtype == entry.dtype else {
          throw .sliceDtype(slice.dtype, expected: entry.dtype, name)
        }
        let expected = slices[slices.count - 1].shape
        guard slice.shape[...] == expected.lengths else {
          throw .sliceShape(Shape(slice.shape), expected: expected, name)
        }
        stored.append(slice.storedBytes)
      } else {
        stored.append(
          Checkpoint.StoredBytes(
            shard: Checkpoint.StoredBytes.missing, checksum: .none, offset: 0, byteCount: 0))
      }
    }
    storedEnds.append(stored.count)
    catalog.append(name, dtype, shape, slices: slices)
  }

  private func slice(
    _ extents: [StoredExtent], of name: Name, _ shape: Shape
  ) throws(IndexError) -> TensorSlice {
    guard extents.count == shape.rank else {
      throw .sliceRank(extents.count, expected: shape.rank, name)
    }
    return TensorSlice(
      starts: extents.map(\.start),
      counts: zip(extents, shape.lengths).map { $0.length ?? $1 })
  }

  // MARK: Result

  private mutating func finish() throws(IndexError) -> Checkpoint {
    if listed.count < codedEntries.count { try insertTensorsNamedWithZero() }
    catalog.index()
    guard let header else { throw .noEntries }
    return Checkpoint(
      .v2, catalog: catalog, shardCount: header.shardCount,
      bigEndian: header.isBigEndian ? .all : .none, stored: stored, storedEnds: storedEnds)
  }

  /// Adds the entries that no tensor lists as slices: tensors whose names begin with a zero byte,
  /// which come before all others.
  private mutating func insertTensorsNamedWithZero() throws(IndexError) {
    let others = (catalog, stored, storedEnds)
    catalog = Catalog()
    stored = []
    storedEnds = []
    // Such a tensor may itself be stored in slices, whose keys follow its own.
    for position in codedEntries.indices where !codedEntries[position].entry.slices.isEmpty {
      let (key, entry) = codedEntries[position]
      for extents in entry.slices {
        try steps.step()
        try spendKey(key.count)
        let coded = SliceKey.encode(name: key[...], extents: extents.map { ($0.start, $0.length) })
        if let slice = codedPositions[coded] { listed.insert(slice) }
      }
    }
    for position in codedEntries.indices where !listed.contains(position) {
      try steps.step()
      let (key, entry) = codedEntries[position]
      try append(key.span, entry)
    }
    let shift = stored.count
    stored += others.1
    storedEnds += others.2.map { $0 + shift }
    for tensor in 0..<others.0.count {
      try steps.step()
      catalog.append(
        others.0.name(tensor), others.0.dtype(tensor), others.0.shape(tensor),
        slices: others.0.slices(tensor))
    }
  }
}

extension BundleEntry {
  fileprivate var storedBytes: Checkpoint.StoredBytes {
    Checkpoint.StoredBytes(
      shard: max(Checkpoint.StoredBytes.missing + 1, shard),
      checksum: .masked(maskedChecksum),
      offset: offset, byteCount: byteCount)
  }
}

// MARK: - The table

@_lifetime(copy bytes)
private func openTable(_ bytes: RawSpan) throws(IndexError) -> TableReader {
  do {
    return try TableReader(bytes)
  } catch {
    throw .table(error)
  }
}

@_lifetime(table: copy table)
private func advance(_ table: inout TableReader) throws(IndexError) -> Bool {
  do { return try table.next() } catch { throw .table(error) }
}

extension Name {
  /// Makes a name from bytes, which it copies.
  init(copying bytes: Span<UInt8>) {
    self.init(Array(RawSpan(_elements: bytes))[...])
  }
}
