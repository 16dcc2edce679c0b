import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTable
package import WarmstartTensorModel

/// Reads what the tables of a V1 checkpoint list into a `Checkpoint`, without reading the tensors.
///
/// Each table begins, under the empty key, with a `SavedTensorSlices` that lists tensors and the
/// slices of them that are in this very table; each slice has a record of its own, under the key
/// that slices of V2 checkpoints have. A tensor that is not partitioned is one slice. What is read
/// of a table is its footer, its index and its first data block.
package struct SavedSlicesReader {
  /// A table: its length, and how a range of it is read, all of it or nothing.
  package struct Source {
    /// What messages call it.
    package let name: () -> String
    package let byteCount: Int
    package let read: (Range<Int>) throws(Problem) -> [UInt8]

    package init(
      name: @autoclosure @escaping () -> String, byteCount: Int,
      read: @escaping (Range<Int>) throws(Problem) -> [UInt8]
    ) {
      self.name = name
      self.byteCount = byteCount
      self.read = read
    }
  }

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

  /// The longest index, and the longest list of tensors, of one table.
  private static let maximumByteCount = BundleReader.maximumIndexByteCount

  private var tensors: [Name: Tensor] = [:]
  private let reserve: (Int) throws(Problem) -> Void
  /// What was reserved for what is kept of all tables, and what is left of it.
  private var reserved = 0
  private var allowance = 0
  private var steps: CheckedSteps

  /// Reads the lists of all tables; `reserve` is told how much memory all takes, before it is taken.
  ///
  /// `checkIn` throws if nobody waits for the result any more; it is called between tables, and
  /// every so many tensors and slices.
  package static func read(
    _ sources: [Source], reserving reserve: @escaping (Int) throws(Problem) -> Void,
    checkIn: @escaping () throws(Problem) -> Void = {}
  ) throws(Problem) -> Checkpoint {
    var reader = SavedSlicesReader(reserve: reserve, checkIn: checkIn)
    for position in sources.indices {
      if position > 0 { try checkIn() }
      try reader.read(sources[position], Int32(position))
    }
    return reader.finish(tableCount: sources.count)
  }

  private init(
    reserve: @escaping (Int) throws(Problem) -> Void,
    checkIn: @escaping () throws(Problem) -> Void
  ) {
    self.reserve = reserve
    steps = CheckedSteps(checkIn)
  }

  // MARK: One table

  private mutating func read(_ source: Source, _ position: Int32) throws(Problem) {
    let tail = max(0, source.byteCount - TableIndex.footerByteCount)..<source.byteCount
    let footer = try source.read(tail)
    let range = try source.checked { () throws(TableError) in
      try TableIndex.range(footer: footer.rawSpan, fileByteCount: source.byteCount)
    }
    let indexBytes = try read(range, of: source)
    let index = try source.checked { () throws(TableError) in
      try TableIndex(indexBytes.rawSpan, at: range.lowerBound)
    }
    guard let first = index.blocks.first else { throw source.listLacks }
    // The index is held until the list is taken.
    reserved += index.memoryByteCount
    defer { reserved -= index.memoryByteCount }
    let firstBytes = try read(first.offset..<first.offset + first.byteCount, of: source)
    let contents = try source.checked { () throws(TableError) in
      try DataBlock.contents(of: firstBytes, at: first.offset)
    }
    let list = try source.checked { () throws(TableError) -> Range<Int>? in
      var block = try DataBlock(contents.rawSpan, at: first.offset)
      return try block.next() && block.key.isEmpty ? block.value : nil
    }
    guard let list else { throw source.listLacks }
    // A slice of eight bytes, the least that an honest one has, takes some 300.
    let room = 40 * list.count + (64 << 10)
    allowance += room
    reserved += room
    try reserve(reserved + contents.count)
    try take(contents.span.extracting(list), from: source, position, index)
  }

  /// Reads a block, once there is room for it and for what it may expand to.
  private func read(_ range: Range<Int>, of source: Source) throws(Problem) -> [UInt8] {
    guard range.count <= SavedSlicesReader.maximumByteCount else {
      throw Problem(
        .unsupported,
        "\(source.name()) has an index or a list of tensors of \(range.count) bytes, "
          + "expected at most \(SavedSlicesReader.maximumByteCount)")
    }
    let type = try source.read(range.upperBound - 5..<range.upperBound - 4)[0]
    let limit = DataBlock.contentsLimit(
      byteCount: range.count, isCompressed: DataBlock.isCompressed(type: type))
    // Beside the contents, an index is held in its own way.
    try reserve(reserved + range.count + TableIndex.memoryByteCount(ofContents: limit))
    let bytes = try source.read(range)
    // What was reserved is for the type that it had.
    guard bytes[bytes.count - 5] == type else {
      throw Problem(.checkpointChanged, "\(source.name()) is being written")
    }
    return bytes
  }

  // MARK: The list of tensors

  private mutating func take(
    _ list: Span<UInt8>, from source: Source, _ table: Int32, _ index: TableIndex
  ) throws(Problem) {
    var isListed = false
    var reader = FieldReader(list)
    while let field = try source.next(&reader) {
      guard case (1, .bytes(let range)) = field else { continue }
      isListed = true
      try takeMeta(list.extracting(range), from: source, table, index)
    }
    guard isListed else { throw source.listLacks }
  }

  private mutating func takeMeta(
    _ meta: Span<UInt8>, from source: Source, _ table: Int32, _ index: TableIndex
  ) throws(Problem) {
    var reader = FieldReader(meta)
    while let field = try source.next(&reader) {
      switch field {
      case (1, .bytes(let range)):
        try takeTensor(meta.extracting(range), from: source, table, index)
      case (2, .bytes(let range)): try source.checkVersion(meta.extracting(range))
      default: break
      }
    }
  }

  private mutating func takeTensor(
    _ bytes: Span<UInt8>, from source: Source, _ table: Int32, _ index: TableIndex
  ) throws(Problem) {
    var nameBytes: [UInt8] = []
    var lengths: [Int] = []
    var type: Int32 = 0
    var slices: [[StoredExtent]] = []
    var reader = FieldReader(bytes)
    try steps.step()
    while let field = try source.next(&reader) {
      switch field {
      case (1, .bytes(let range)):
        try source.expectName(ofByteCount: range.count)
        nameBytes = copied(bytes.extracting(range))
      case (2, .bytes(let range)): lengths += try source.lengths(bytes.extracting(range))
      case (3, .varint(let value)): type = Int32(truncatingIfNeeded: value)
      case (4, .bytes(let range)):
        let extents = try source.extents(bytes.extracting(range))
        try steps.step()
        try spend(extents.count * 40 + 240)
        slices.append(extents)
      default: break
      }
    }
    let name = Name(nameBytes[...])
    guard let dtype = DataType(rawValue: type), dtype != .resource else {
      throw .unknownDtype(type, of: name, in: source.name())
    }
    let shape = Shape(lengths)
    guard shape.rank <= BundleReader.maximumRank, shape.elementCount != nil else {
      throw .invalidShape(lengths, of: name, in: source.name())
    }
    try spend(nameBytes.count + lengths.count * 8 + 160)
    if let known = tensors[name], known.dtype != dtype || known.shape != shape {
      throw source.problem(
        name, "is \(dtype.name) \(shape), but \(known.dtype.name) \(known.shape) before it")
    }
    var found: [StoredSlice] = []
    for extents in slices {
      try steps.step()
      guard extents.count == shape.rank else {
        throw source.problem(
          name, "has a slice of \(extents.count) axes, expected \(shape.rank)")
      }
      for extent in extents where !extent.isSound {
        throw source.problem(
          name,
          "has a slice of \(extent.length.map(String.init) ?? "all") elements from \(extent.start)")
      }
      let key = SliceKey.encode(
        name: nameBytes[...], extents: extents.map { ($0.start, $0.length) })
      try spend(key.count)
      let slice = TensorSlice(
        starts: extents.map(\.start), counts: zip(extents, lengths).map { $0.length ?? $1 })
      let block = index.block(of: key)
      // What does not fit the tensor is refused when it is read; it has no bytes that count.
      var byteCount = 0
      if slice.fits(shape), let width = dtype.byteCount {
        guard let count = slice.shape.byteCount(ofWidth: width) else {
          throw source.problem(name, "has a slice of more than 2^63 bytes")
        }
        byteCount = count
      }
      found.append(
        StoredSlice(
          slice: slice, key: key,
          stored: Checkpoint.StoredBytes(
            shard: block == nil ? Checkpoint.StoredBytes.missing : table, maskedChecksum: 0,
            offset: block?.offset ?? 0, byteCount: byteCount),
          block: block ?? TableIndex.Block(offset: 0, byteCount: 0)))
    }
    // A tensor without a slice is not there. In place: one may be listed many times.
    guard !found.isEmpty else { return }
    tensors[name, default: Tensor(dtype: dtype, shape: shape)].slices += found
  }

  private mutating func spend(_ byteCount: Int) throws(Problem) {
    guard byteCount <= allowance else {
      throw Problem(.corrupt, "the lists of tensors expand to more than \(reserved) bytes")
    }
    allowance -= byteCount
  }

  // MARK: Result

  private func finish(tableCount: Int) -> Checkpoint {
    var catalog = Catalog()
    var stored: [Checkpoint.StoredBytes] = []
    var storedEnds: [Int] = []
    var keys: [[UInt8]] = []
    var blocks: [TableIndex.Block] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let slices = tensor.slices.map(\.slice)
      // Stored whole, it is one slice.
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
      catalog: catalog, shardCount: tableCount, isBigEndian: false, stored: stored,
      storedEnds: storedEnds, records: Records(keys, blocks, of: stored))
  }
}

extension SavedSlicesReader.Source {
  fileprivate func checked<Result>(
    _ body: () throws(TableError) -> Result
  ) throws(Problem) -> Result {
    do { return try body() } catch { throw Problem(error, in: name()) }
  }

  fileprivate func next(
    _ reader: inout FieldReader
  ) throws(Problem) -> (UInt64, FieldReader.Value)? {
    do { return try reader.next() } catch {
      throw Problem(
        .corrupt,
        "the list of tensors of \(name()) is not parseable, expected a SavedTensorSliceMeta")
    }
  }

  fileprivate var listLacks: Problem {
    Problem(.corrupt, "\(name()) does not begin with a list of the tensors that it holds")
  }

  /// Throws if a name is so long that no table could have it, or a slice of it, as a key.
  fileprivate func expectName(ofByteCount byteCount: Int) throws(Problem) {
    guard byteCount <= TableIndex.maximumKeyByteCount else {
      throw Problem(
        .unsupported,
        "\(name()) lists a tensor whose name has \(byteCount) bytes, "
          + "expected at most \(TableIndex.maximumKeyByteCount)")
    }
  }

  fileprivate func problem(_ tensor: Name, _ message: String) -> Problem {
    Problem(.corrupt, "tensor \(tensor.inMessage) in \(name()) \(message)", tensor: tensor)
  }

  /// TensorShapeProto: its dim{size}s.
  fileprivate func lengths(_ bytes: Span<UInt8>) throws(Problem) -> [Int] {
    var lengths: [Int] = []
    var reader = FieldReader(bytes)
    while let field = try next(&reader) {
      guard case (2, .bytes(let range)) = field else { continue }
      var length = 0
      var dim = FieldReader(bytes.extracting(range))
      while let field = try next(&dim) {
        if case (1, .varint(let value)) = field { length = Int(truncatingIfNeeded: value) }
      }
      lengths.append(length)
      // One too many is enough to refuse the shape.
      guard lengths.count <= BundleReader.maximumRank else { break }
    }
    return lengths
  }

  /// TensorSliceProto: its extent{start, length}s.
  fileprivate func extents(_ bytes: Span<UInt8>) throws(Problem) -> [StoredExtent] {
    var extents: [StoredExtent] = []
    var reader = FieldReader(bytes)
    while let field = try next(&reader) {
      guard case (1, .bytes(let range)) = field else { continue }
      var stored = StoredExtent(start: 0, length: nil)
      var extent = FieldReader(bytes.extracting(range))
      while let field = try next(&extent) {
        switch field {
        case (1, .varint(let value)): stored.start = Int(truncatingIfNeeded: value)
        case (2, .varint(let value)): stored.length = Int(truncatingIfNeeded: value)
        default: break
        }
      }
      extents.append(stored)
      guard extents.count <= BundleReader.maximumRank else { break }
    }
    return extents
  }

  /// VersionDef: as that of a V2 checkpoint's header.
  fileprivate func checkVersion(_ bytes: Span<UInt8>) throws(Problem) {
    var version = BundleHeader.Version()
    var reader = FieldReader(bytes)
    while let field = try next(&reader) {
      switch field {
      case (1, .varint(let value)): version.producer = Int(Int32(truncatingIfNeeded: value))
      case (2, .varint(let value)): version.minimumConsumer = Int(Int32(truncatingIfNeeded: value))
      case (3, .varint(let value)):
        version.badConsumers.append(Int(Int32(truncatingIfNeeded: value)))
      case (3, .bytes(let range)):
        // Packed: a number after the other, each as the contents of no field.
        var numbers = FieldReader(bytes.extracting(range))
        do {
          while let number = try numbers.nextVarint() {
            version.badConsumers.append(Int(Int32(truncatingIfNeeded: number)))
          }
        } catch {
          throw Problem(
            .corrupt,
            "the list of tensors of \(name()) is not parseable, expected a SavedTensorSliceMeta")
        }
      default: break
      }
    }
    try version.expectReadable(name)
  }
}

extension StoredExtent {
  /// Whether TensorFlow takes it: all of an axis, or a run that is not empty and has an end.
  fileprivate var isSound: Bool {
    guard let length else { return start == 0 }
    return start >= 0 && length > 0 && !start.addingReportingOverflow(length).overflow
  }
}

private func copied(_ bytes: Span<UInt8>) -> [UInt8] {
  [UInt8](capacity: bytes.count) { output in
    for index in bytes.indices { output.append(bytes[index]) }
  }
}
