import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTable
package import WarmstartTensorModel

/// Parses the index of a V2 checkpoint ("tensor bundle") into a `Checkpoint`.
///
/// The entry of the empty key is the header. A tensor that is stored in slices has an entry with
/// their list and no bytes; each slice has an entry with bytes under a key in OrderedCode, which
/// begins with a zero byte and therefore sorts before all usual names.
package struct BundleReader {
  /// The longest index that is read: some 4 million tensors.
  ///
  /// Chosen, not tuned.
  package static let maximumIndexByteCount = 256 << 20
  /// TensorFlow's limit of a shape's axes.
  static let maximumRank = 254

  /// The memory that an index of a size may take while it is read, if its blocks expand to so much.
  ///
  /// A tensor takes some 30 bytes of an honest index, a slice 45, and names of any length a
  /// sixteenth of their bytes: less than fifteen times that is held. A hostile index has entries of
  /// six bytes.
  package static func memoryByteCount(ofIndex byteCount: Int, expanding expanded: Int = 0) -> Int {
    (min(byteCount, maximumIndexByteCount) + expanded) * 16 + (64 << 10)
  }

  /// The keys of slices that an index of a size may list, in bytes: writers store every 16th key
  /// whole, so that honest ones come to less than 17 times their bytes; doubled.
  private static func keyByteCount(ofIndex byteCount: Int) -> Int {
    byteCount * 32 + (1 << 20)
  }

  private var header: BundleHeader?
  private var catalog = Catalog()
  private var stored: [Checkpoint.StoredBytes] = []
  private var storedEnds: [Int] = []
  /// Entries whose keys begin with a zero byte: slices, unless no tensor lists them.
  private var codedEntries: [(key: [UInt8], entry: BundleEntry)] = []
  private var codedPositions: [[UInt8]: Int] = [:]
  private var listed: Set<Int> = []
  private let limit: Int
  /// What is left of the limit.
  private var allowance: Int
  /// What is left of the bytes that keys of listed slices may have.
  private var keyAllowance: Int
  private var steps: CheckedSteps

  /// What messages call the file, which takes a system call to learn.
  private let file: () -> String

  private init(
    _ file: @escaping () -> String, indexByteCount: Int, expanding expanded: Int,
    checkIn: @escaping () throws(Problem) -> Void
  ) {
    self.file = file
    steps = CheckedSteps(checkIn)
    limit = BundleReader.memoryByteCount(ofIndex: indexByteCount, expanding: expanded)
    allowance = limit
    keyAllowance = BundleReader.keyByteCount(ofIndex: indexByteCount + expanded)
  }

  /// Reads and parses the index of the files; every problem names the index file.
  ///
  /// `reserve` is told how much memory that takes in all, before it is taken; it may say no.
  /// `checkIn` throws if nobody waits for the result any more; it is called every so many entries.
  package static func read(
    _ files: FileSet, reserving reserve: (Int) throws(Problem) -> Void = { _ in },
    checkIn: @escaping () throws(Problem) -> Void = {}
  ) throws(Problem) -> Checkpoint {
    let index = files.index
    guard index.status.size <= maximumIndexByteCount else {
      throw Problem(
        .unsupported,
        "\(index) has \(index.status.size) bytes, expected at most \(maximumIndexByteCount)")
    }
    // Nothing is reserved for what is no index: a file of any size costs its owner nothing.
    try expectFooter(of: index)
    try reserve(memoryByteCount(ofIndex: index.status.size))
    var bytes = [UInt8](repeating: 0, count: index.status.size)
    do {
      let count = try index.file.read(at: 0, into: &bytes, checkIn: checkIn)
      guard count == bytes.count else {
        throw Problem(.truncated, "\(index) ended after \(count) of \(bytes.count) bytes")
      }
    } catch let problem as Problem {
      throw problem
    } catch {
      throw Problem(.system, "\(index) cannot be read: \(error)")
    }
    let expanded = TableReader.expandedByteCount(of: bytes.rawSpan)
    if expanded > 0 { try reserve(memoryByteCount(ofIndex: bytes.count, expanding: expanded)) }
    // A file that is being written looks corrupt: that it changed is the better answer.
    let parsed = parsing(bytes, expanding: expanded, of: { "\(index)" }, checkIn)
    try files.expectUnchanged(index)
    return try parsed.get()
  }

  /// Throws unless a file ends as a table does.
  private static func expectFooter(of index: FileSet.Member) throws(Problem) {
    let size = index.status.size
    var end = [UInt8](repeating: 0, count: min(size, TableIndex.footerByteCount))
    do {
      let count = try index.file.read(at: size - end.count, into: &end, range: 0..<end.count)
      // One that has become shorter meanwhile is told from others when it is read.
      guard count == end.count else { return }
    } catch {
      throw Problem(.system, "\(index) cannot be read: \(error)")
    }
    do throws(TableError) {
      _ = try TableIndex.range(footer: end.rawSpan, fileByteCount: size)
    } catch {
      throw Problem(error, in: "\(index)")
    }
  }

  private static func parsing(
    _ bytes: [UInt8], expanding expanded: Int, of file: @escaping () -> String,
    _ checkIn: @escaping () throws(Problem) -> Void
  ) -> Result<Checkpoint, Problem> {
    do {
      var reader = BundleReader(
        file, indexByteCount: bytes.count, expanding: expanded, checkIn: checkIn)
      try reader.readEntries(bytes)
      return .success(try reader.finish())
    } catch {
      return .failure(error)
    }
  }

  /// Parses an index that is in memory, as `read` does.
  package static func parse(_ bytes: [UInt8]) throws(Problem) -> Checkpoint {
    let expanded = TableReader.expandedByteCount(of: bytes.rawSpan)
    return try parsing(bytes, expanding: expanded, of: { "index file" }, {}).get()
  }

  // MARK: Entries

  private mutating func readEntries(_ bytes: [UInt8]) throws(Problem) {
    let scratch = Scratch()
    var lengths: [Int] = []
    var table = try openTable(bytes.rawSpan, file)
    while try advance(&table, file) {
      try steps.step()
      if header != nil, try takePlain(table.key, table.value, &lengths) { continue }
      let key = Array(table.key)
      if header == nil {
        header = try header(key, table.value, scratch)
      } else {
        try take(key, try entry(key, table.value, scratch))
      }
    }
    guard header != nil else { throw isEmpty }
  }

  private func header(
    _ key: [UInt8], _ value: RawSpan, _ scratch: Scratch
  ) throws(Problem) -> BundleHeader {
    guard key.isEmpty else {
      throw Problem(.corrupt, "\(file()) has no header before \(Name(key[...]).inMessage)")
    }
    let header: BundleHeader
    do {
      header = try BundleHeader(unpacking: value, scratch)
    } catch {
      throw Problem(
        .corrupt, "the header of \(file()) is not parseable, expected a BundleHeaderProto")
    }
    try header.version.expectReadable(file)
    return header
  }

  private func entry(
    _ key: [UInt8], _ value: RawSpan, _ scratch: Scratch
  ) throws(Problem) -> BundleEntry {
    do {
      return try BundleEntry(unpacking: value, scratch, limit: allowance)
    } catch .tooLarge {
      throw isTooLarge
    } catch {
      throw Problem(
        .corrupt,
        "the entry of tensor \(Name(key[...]).inMessage) in \(file()) is not parseable, "
          + "expected a BundleEntryProto", tensor: Name(key[...]))
    }
  }

  /// Takes the entry of a tensor that is stored whole; false if this one has to be looked at closely.
  private mutating func takePlain(
    _ key: RawSpan, _ value: RawSpan, _ lengths: inout [Int]
  ) throws(Problem) -> Bool {
    let name = Span<UInt8>(_bytes: key)
    guard !name.isEmpty, name[0] != 0, let entry = PlainEntry(value, lengths: &lengths),
      let dtype = DataType(rawValue: entry.dtype), dtype != .resource,
      lengths.count <= BundleReader.maximumRank, Shape(lengths).elementCount != nil
    else { return false }
    try expectRoom()
    try spend(name.count + lengths.count * 8 + 96)
    stored.append(
      Checkpoint.StoredBytes(
        shard: max(Checkpoint.StoredBytes.missing + 1, entry.shard),
        maskedChecksum: entry.maskedChecksum, offset: entry.offset, byteCount: entry.byteCount))
    storedEnds.append(stored.count)
    catalog.append(name, dtype, lengths.span)
    return true
  }

  private mutating func take(_ key: [UInt8], _ entry: BundleEntry) throws(Problem) {
    try spend(key, entry)
    if key.first == 0 {
      codedPositions[key] = codedEntries.count
      codedEntries.append((key, entry))
    } else {
      try append(key, entry)
    }
  }

  /// Takes what is held of an entry from the allowance; throws if that is more than is left.
  private mutating func spend(_ key: [UInt8], _ entry: BundleEntry) throws(Problem) {
    // Arrays and dictionaries of entries, by the sizes of their elements.
    let own = key.count + entry.shape.count * 8 + (key.first == 0 ? 256 : 96)
    let slices = entry.slices.reduce(0) { $0 + 128 + $1.count * 16 }
    try spend(own + slices)
  }

  private mutating func spend(_ byteCount: Int) throws(Problem) {
    guard byteCount <= allowance else { throw isTooLarge }
    allowance -= byteCount
  }

  /// Takes the name in a slice's key, which has to be looked up whole.
  private mutating func spendKey(_ byteCount: Int) throws(Problem) {
    guard byteCount <= keyAllowance else {
      throw Problem(.corrupt, "\(file()) lists more slices of long names than it has keys")
    }
    keyAllowance -= byteCount
  }

  private var isEmpty: Problem { Problem(.corrupt, "\(file()) has no entries, expected a header") }

  private var isTooLarge: Problem {
    Problem(.corrupt, "\(file()) expands to more than \(limit) bytes")
  }

  private func expectRoom() throws(Problem) {
    guard catalog.count < Catalog.maximumCount else {
      throw Problem(
        .unsupported, "\(file()) has more than \(Catalog.maximumCount) tensors")
    }
  }

  private mutating func append(_ key: [UInt8], _ entry: BundleEntry) throws(Problem) {
    try expectRoom()
    let name = Name(key[...])
    guard let dtype = DataType(rawValue: entry.dtype), dtype != .resource else {
      throw .unknownDtype(entry.dtype, of: name, in: file())
    }
    let shape = Shape(entry.shape)
    guard shape.rank <= BundleReader.maximumRank, shape.elementCount != nil else {
      throw .invalidShape(entry.shape, of: name, in: file())
    }
    guard !entry.slices.isEmpty else {
      stored.append(entry.storedBytes)
      storedEnds.append(stored.count)
      catalog.append(name, dtype, shape)
      return
    }
    var slices: [TensorSlice] = []
    for extents in entry.slices {
      try steps.step()
      slices.append(try slice(extents, of: name, shape))
      try spendKey(key.count)
      let coded = SliceKey.encode(
        name: key[...], extents: extents.map { ($0.start, $0.length) })
      if let position = codedPositions[coded] {
        listed.insert(position)
        let slice = codedEntries[position].entry
        guard slice.dtype == entry.dtype else {
          throw Problem(
            .corrupt,
            "tensor \(name.inMessage) has a slice of dtype number \(slice.dtype) in \(file()), "
              + "expected \(entry.dtype)", tensor: name)
        }
        guard slice.shape == slices[slices.count - 1].counts else {
          throw Problem(
            .corrupt,
            "tensor \(name.inMessage) has a slice of shape \(Shape(slice.shape).inMessage) in "
              + "\(file()), expected \(slices[slices.count - 1].shape.inMessage)", tensor: name)
        }
        stored.append(slice.storedBytes)
      } else {
        stored.append(
          Checkpoint.StoredBytes(
            shard: Checkpoint.StoredBytes.missing, maskedChecksum: 0, offset: 0, byteCount: 0))
      }
    }
    storedEnds.append(stored.count)
    catalog.append(name, dtype, shape, slices: slices)
  }

  private func slice(
    _ extents: [StoredExtent], of name: Name, _ shape: Shape
  ) throws(Problem) -> TensorSlice {
    guard extents.count == shape.rank else {
      throw Problem(
        .corrupt,
        "tensor \(name.inMessage) has a slice of \(extents.count) axes in \(file()), "
          + "expected \(shape.rank)", tensor: name)
    }
    return TensorSlice(
      starts: extents.map(\.start),
      counts: zip(extents, shape.lengths).map { $0.length ?? $1 })
  }

  // MARK: Result

  private mutating func finish() throws(Problem) -> Checkpoint {
    if listed.count < codedEntries.count { try insertTensorsNamedWithZero() }
    catalog.index()
    guard let header else { throw isEmpty }
    return Checkpoint(
      catalog: catalog, shardCount: header.shardCount, isBigEndian: header.isBigEndian,
      stored: stored, storedEnds: storedEnds)
  }

  /// Puts entries that no tensor lists as its slices where they belong: before all others.
  private mutating func insertTensorsNamedWithZero() throws(Problem) {
    let others = (catalog, stored, storedEnds)
    catalog = Catalog()
    stored = []
    storedEnds = []
    // An entry here may itself be a tensor in slices, whose keys follow it.
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
      try append(codedEntries[position].key, codedEntries[position].entry)
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
      shard: max(Checkpoint.StoredBytes.missing + 1, Int32(clamping: shard)),
      maskedChecksum: maskedChecksum,
      offset: offset, byteCount: byteCount)
  }
}

extension BundleHeader.Version {
  /// The version of the formats that the readers here are, as TensorFlow counts.
  private static let current = 1

  /// Throws if the writer says that readers of this version must not read the checkpoint.
  func expectReadable(_ file: () -> String) throws(Problem) {
    let current = Self.current
    func refusal(_ fault: String) -> Problem { Problem(.versionMismatch, "\(file()): \(fault)") }
    if producer < 0 {
      throw refusal(
        "checkpoint producer version \(producer) below min producer 0 supported; save it again")
    }
    if minimumConsumer > current {
      throw refusal(
        "checkpoint min consumer version \(minimumConsumer) above current version \(current); "
          + "it takes a newer reader")
    }
    if badConsumers.contains(current) {
      throw refusal(
        "checkpoint disallows consumer version \(current), the one there is; save it again")
    }
  }
}

// MARK: - The table's errors

@_lifetime(copy bytes)
private func openTable(_ bytes: RawSpan, _ file: () -> String) throws(Problem) -> TableReader {
  do {
    return try TableReader(bytes)
  } catch {
    throw Problem(error, in: file())
  }
}

@_lifetime(table: copy table)
private func advance(_ table: inout TableReader, _ file: () -> String) throws(Problem) -> Bool {
  do {
    return try table.next()
  } catch {
    throw Problem(error, in: file())
  }
}

extension Problem {
  /// What is wrong with a table, or a block of one.
  init(_ error: TableError, in table: String) {
    let reason: Reason =
      switch error {
      case .truncated: .truncated
      case .checksumMismatch: .checksumMismatch
      default: .corrupt
      }
    let fault =
      switch error {
      case .tooShort(0): "is empty"
      case .tooShort, .badMagic: "is damaged, or is no checkpoint"
      default: "is damaged"
      }
    self.init(reason, "\(table) \(fault): \(error)")
  }

  /// A tensor's dtype is none of TensorFlow's, or one that has no bytes.
  static func unknownDtype(_ number: Int32, of tensor: Name, in file: String) -> Problem {
    Problem(
      .corrupt,
      "tensor \(tensor.inMessage) has the unknown dtype \(number) in \(file), "
        + "expected 1 to \(DataType.allCases.map(\.rawValue).max() ?? 0) and not "
        + "\(DataType.resource.rawValue) (resource)", tensor: tensor)
  }

  /// A tensor's shape is none.
  static func invalidShape(_ lengths: [Int], of tensor: Name, in file: String) -> Problem {
    let shown = 32
    let more = lengths.count > shown ? ", … (\(lengths.count) axes)" : ""
    let text = lengths.prefix(shown).map(String.init).joined(separator: ", ") + more
    return Problem(
      .corrupt,
      "tensor \(tensor.inMessage) has the invalid shape [\(text)] in \(file), expected at most "
        + "\(BundleReader.maximumRank) axes, none negative, and less than 2^63 elements",
      tensor: tensor)
  }
}
