import SystemPackage
import WarmstartKernel
import WarmstartProtobuf
import WarmstartTable
import WarmstartTensorModel

/// Reads the lists of tensors in a V1 checkpoint's tables into a `Checkpoint`.
///
/// Each table begins with a `SavedTensorSlices` under the empty key, which lists tensors and those
/// of their slices that are in this table. Each slice has a record under a key as in V2
/// checkpoints. A tensor that is not partitioned is one slice. The reader reads the footer, the
/// index and the first data block of each table, and no records.
struct V1Reader {
  private struct StoredSlice {
    let slice: TensorSlice
    let key: [UInt8]
    let stored: Checkpoint.StoredBytes
    let block: TableIndex.Block
  }

  private struct Tensor {
    let dtype: DataType
    let shape: Shape
    var slices: [StoredSlice] = []
  }

  /// The longest index, and the longest list of tensors, of one table, in bytes.
  private static let maximumByteCount = BundleReader.maximumIndexByteCount

  private var tensors: [Name: Tensor] = [:]
  private let mayReserve: (Int) throws(Problem) -> Void
  /// The memory that was reserved for the lists of all tables, and what is left of it.
  private var reserved = 0
  private var allowance = 0
  private var steps: CheckedSteps

  /// Begins before the first table.
  ///
  /// - Parameters:
  ///   - reserve: Gets the memory that reading takes in all, before it is taken; throws to refuse
  ///     it.
  ///   - checkIn: Throws if no client waits for the result any more; called between steps.
  init(
    reserving reserve: @escaping (Int) throws(Problem) -> Void,
    checkIn: @escaping () throws(Problem) -> Void
  ) {
    mayReserve = reserve
    steps = CheckedSteps(checkIn)
  }

  // MARK: One table

  /// Reads the list of tensors of a table; `position` is the table's place among all tables.
  mutating func read(_ file: IndexFile, _ position: Int32) throws(IndexError) {
    let range = try file.indexRange()
    let index = try tableIndex(try read(range, of: file), at: range.lowerBound)
    guard let first = index.blocks.first else { throw .listMissing }
    // The index stays in memory until the list is parsed.
    reserved += index.memoryByteCount
    defer { reserved -= index.memoryByteCount }
    let block = try read(first.offset..<first.offset + first.byteCount, of: file)
    let (contents, list) = try firstValue(ofBlock: block, at: first.offset)
    // An honest slice has at least eight bytes, and takes some 300 in memory.
    let room = 40 * list.count + (64 << 10)
    allowance += room
    reserved += room
    try reserve(reserved + contents.count)
    try take(contents.span.extracting(list), position, index)
  }

  private func reserve(_ byteCount: Int) throws(IndexError) {
    do { try mayReserve(byteCount) } catch { throw .stopped(error) }
  }

  /// Reads a block after reserving memory for it and for its expanded contents.
  private func read(_ range: Range<Int>, of file: IndexFile) throws(IndexError) -> [UInt8] {
    guard range.count <= V1Reader.maximumByteCount else {
      throw .tooLong(
        part: "an index or a list of tensors", byteCount: range.count,
        limit: V1Reader.maximumByteCount)
    }
    let typeOffset = DataBlock.typeOffset(inBlockOf: range.count)
    let typePlace = range.lowerBound + typeOffset
    let type = try file.read(typePlace..<typePlace + 1)[0]
    let limit = DataBlock.contentsLimit(
      byteCount: range.count, isCompressed: DataBlock.isCompressed(type: type))
    // An index takes memory in its parsed form too.
    try reserve(reserved + range.count + TableIndex.memoryByteCount(ofContents: limit))
    let bytes = try file.read(range)
    // The memory was reserved for a block of the earlier type.
    guard bytes[typeOffset] == type else { throw .beingWritten }
    return bytes
  }

  private func tableIndex(_ bytes: [UInt8], at offset: Int) throws(IndexError) -> TableIndex {
    do { return try TableIndex(bytes.rawSpan, at: offset) } catch { throw .table(error) }
  }

  /// Expands a block and finds the value of the empty key, which must come first.
  private func firstValue(
    ofBlock bytes: [UInt8], at offset: Int
  ) throws(IndexError) -> (contents: [UInt8], list: Range<Int>) {
    do throws(TableError) {
      let contents = try DataBlock.contents(of: bytes, at: offset)
      var block = try DataBlock(contents.rawSpan, at: offset)
      if try block.next(), block.key.isEmpty { return (contents, block.value) }
    } catch {
      throw .table(error)
    }
    throw .listMissing
  }

  // MARK: The list of tensors

  private mutating func take(
    _ list: Span<UInt8>, _ table: Int32, _ index: TableIndex
  ) throws(IndexError) {
    var isListed = false
    var reader = FieldReader(list)
    while let field = try reader.nextOfList() {
      guard case (1, .bytes(let range)) = field else { continue }
      isListed = true
      try takeMeta(list.extracting(range), table, index)
    }
    guard isListed else { throw .listMissing }
  }

  private mutating func takeMeta(
    _ meta: Span<UInt8>, _ table: Int32, _ index: TableIndex
  ) throws(IndexError) {
    var reader = FieldReader(meta)
    while let field = try reader.nextOfList() {
      switch field {
      case (1, .bytes(let range)):
        try takeTensor(meta.extracting(range), table, index)
      case (2, .bytes(let range)): try checkVersion(meta.extracting(range))
      default: break
      }
    }
  }

  private mutating func takeTensor(
    _ bytes: Span<UInt8>, _ table: Int32, _ index: TableIndex
  ) throws(IndexError) {
    try steps.step()
    var nameRange = 0..<0
    var lengths: [Int] = []
    var type: Int32 = 0
    var reader = FieldReader(bytes)
    while let field = try reader.nextOfList() {
      switch field {
      case (1, .bytes(let range)): nameRange = range
      case (2, .bytes(let range)):
        try append(parsing: bytes.extracting(range), to: &lengths)
      case (3, .varint(let value)): type = Int32(truncatingIfNeeded: value)
      default: break
      }
    }
    let limit = TableIndex.maximumKeyByteCount
    guard nameRange.count <= limit else {
      throw .nameTooLong(byteCount: nameRange.count, limit: limit)
    }
    let name = Name(copying: bytes.extracting(nameRange))
    guard let dtype = DataType(rawValue: type), dtype != .resource, dtype.isTensorFlows else {
      throw .unknownDtype(type, name)
    }
    let shape = Shape(lengths)
    guard shape.rank <= BundleReader.maximumRank, shape.elementCount != nil else {
      throw .invalidShape(lengths, name)
    }
    try spend(name.bytes.count + lengths.count * 8 + 160)
    if let known = tensors[name], known.dtype != dtype || known.shape != shape {
      throw .listedDifferently(dtype, shape, before: known.dtype, known.shape, name)
    }
    var found: [StoredSlice] = []
    // A second pass over the slices, so that only one at a time is in memory as the table spells
    // it.
    reader = FieldReader(bytes)
    while let field = try reader.nextOfList() {
      guard case (4, .bytes(let range)) = field else { continue }
      try steps.step()
      let extents = try extents(parsing: bytes.extracting(range))
      found.append(try slice(extents, of: name, dtype, shape, table, index))
    }
    // Like TensorFlow, ignore a tensor without slices. In place, since one tensor may be listed
    // many times.
    guard !found.isEmpty else { return }
    tensors[name, default: Tensor(dtype: dtype, shape: shape)].slices += found
  }

  /// Checks a slice of a tensor, and finds the block of its record.
  private mutating func slice(
    _ extents: [StoredExtent], of name: Name, _ dtype: DataType, _ shape: Shape,
    _ table: Int32, _ index: TableIndex
  ) throws(IndexError) -> StoredSlice {
    guard extents.count == shape.rank else {
      throw .sliceRank(extents.count, expected: shape.rank, name)
    }
    for extent in extents where !extent.isSound {
      throw .sliceExtent(extent, name)
    }
    let key = SliceKey.encode(
      name: name.bytes, extents: extents.map { ($0.start, $0.length) })
    try spend(extents.count * 40 + 240 + key.count)
    let slice = TensorSlice(
      starts: extents.map(\.start), counts: zip(extents, shape.lengths).map { $0.length ?? $1 })
    let block = index.block(of: key)
    // A slice that does not fit its tensor is refused when it is read; until then it counts as
    // empty.
    var byteCount = 0
    if slice.fits(shape), let width = dtype.byteCount {
      guard let count = slice.shape.byteCount(ofWidth: width) else {
        throw .sliceTooLarge(name)
      }
      byteCount = count
    }
    return StoredSlice(
      slice: slice, key: key,
      stored: Checkpoint.StoredBytes(
        shard: block == nil ? Checkpoint.StoredBytes.missing : table, checksum: .none,
        offset: block?.offset ?? 0, byteCount: byteCount),
      block: block ?? TableIndex.Block(offset: 0, byteCount: 0))
  }

  private mutating func spend(_ byteCount: Int) throws(IndexError) {
    guard byteCount <= allowance else { throw .tooLarge(limit: reserved) }
    allowance -= byteCount
  }

  // MARK: Messages that others have too

  /// Parses lengths.
  ///
  /// They may take what is left of the allowance, which pays for them later if they are kept.
  private func append(parsing shape: Span<UInt8>, to lengths: inout [Int]) throws(IndexError) {
    var left = allowance
    do {
      try lengths.append(parsing: shape, within: &left)
    } catch {
      throw error.isTooLarge ? .tooLarge(limit: reserved) : .listMalformed
    }
  }

  /// Parses a slice.
  ///
  /// It may take what is left of the allowance, which pays for it later if it is kept.
  private func extents(parsing slice: Span<UInt8>) throws(IndexError) -> [StoredExtent] {
    var left = allowance
    do {
      return try [StoredExtent](parsing: slice, within: &left)
    } catch {
      throw error.isTooLarge ? .tooLarge(limit: reserved) : .listMalformed
    }
  }

  private func checkVersion(_ message: Span<UInt8>) throws(IndexError) {
    var version = WriterVersion()
    do { try version.merge(parsing: message) } catch { throw .listMalformed }
    if let fault = version.fault { throw .unsupportedVersion(fault) }
  }

  // MARK: Result

  /// Makes a checkpoint from all tables that were read.
  func finish(tableCount: Int) -> Checkpoint {
    var catalog = Catalog()
    var stored: [Checkpoint.StoredBytes] = []
    var storedEnds: [Int] = []
    var keys: [[UInt8]] = []
    var blocks: [TableIndex.Block] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let slices = tensor.slices.map(\.slice)
      // A tensor that is stored whole is one slice.
      let isWhole = slices == [TensorSlice(whole: tensor.shape)]
      for slice in tensor.slices {
        stored.append(slice.stored)
        keys.append(slice.key)
        blocks.append(slice.block)
      }
      storedEnds.append(stored.count)
      catalog.append(name, tensor.dtype, tensor.shape, slices: isWhole ? [] : slices)
    }
    catalog.index()
    return Checkpoint(
      .v1, catalog: catalog, shardCount: tableCount, stored: stored, storedEnds: storedEnds,
      records: Records(keys, blocks, of: stored))
  }
}

extension FieldReader {
  @_lifetime(self: copy self)
  fileprivate mutating func nextOfList() throws(IndexError) -> (UInt64, FieldReader.Value)? {
    do { return try next() } catch { throw .listMalformed }
  }
}

extension MessageError {
  fileprivate var isTooLarge: Bool {
    if case .tooLarge = self { true } else { false }
  }
}

extension StoredExtent {
  /// Whether TensorFlow accepts the extent: a whole axis, or a range that is not empty and does not
  /// overflow.
  fileprivate var isSound: Bool {
    guard let length else { return start == 0 }
    return start >= 0 && length > 0 && !start.addingReportingOverflow(length).overflow
  }
}
