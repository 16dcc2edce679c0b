import WarmstartKernel
import WarmstartProtobuf
import WarmstartTable
import WarmstartTensorModel

/// Where in their tables the slices of a V1 checkpoint are.
struct Records: Sendable {
  /// The key of each stored run.
  private let keys: [[UInt8]]
  /// The data block of each stored run, its trailer included; nothing for one that is nowhere.
  private let blocks: [TableIndex.Block]
  /// The positions of all runs by table, block and key: as the tables have them.
  private let order: [Int]

  init(_ keys: [[UInt8]], _ blocks: [TableIndex.Block], of stored: [Checkpoint.StoredBytes]) {
    self.keys = keys
    self.blocks = blocks
    order = stored.indices.sorted { first, second in
      let (left, right) = (stored[first], stored[second])
      if (left.shard, left.offset) != (right.shard, right.offset) {
        return (left.shard, left.offset) < (right.shard, right.offset)
      }
      return keys[first].lexicographicallyPrecedes(keys[second])
    }
  }

  func block(of run: Int) -> TableIndex.Block { blocks[run] }

  /// The number of runs that are in the block of one.
  func count(inBlockOf run: Int, _ stored: [Checkpoint.StoredBytes]) -> Int {
    let wanted = (stored[run].shard, stored[run].offset)
    func place(_ position: Int) -> (Int32, Int) {
      (stored[order[position]].shard, stored[order[position]].offset)
    }
    let first = order.indices.firstPosition { place($0) >= wanted }
    return order.indices.firstPosition { place($0) > wanted } - first
  }

  /// Finds the values of all runs of a block in its contents.
  func values(
    in contents: [UInt8], ofBlockOf run: Int, _ stored: [Checkpoint.StoredBytes]
  ) throws(TableError) -> [Int: Range<Int>] {
    let wanted = stored[run]
    var place = order.indices.firstPosition {
      (stored[order[$0]].shard, stored[order[$0]].offset) >= (wanted.shard, wanted.offset)
    }
    var values: [Int: Range<Int>] = [:]
    var block = try DataBlock(contents.rawSpan, at: wanted.offset)
    while try block.next() {
      // Both ascend. Two runs may have one key: a slice that is listed twice.
      while place < order.count, stored[order[place]].shard == wanted.shard,
        stored[order[place]].offset == wanted.offset
      {
        let key = keys[order[place]]
        if key.span.precedes(block.key) {
          place += 1
        } else if block.key.precedes(key.span) {
          break
        } else {
          values[order[place]] = block.value
          place += 1
        }
      }
    }
    return values
  }

  /// The memory that this value takes, in bytes, about.
  var memoryByteCount: Int { keys.reduce(0) { $0 + $1.count + 40 } + keys.count * 24 }
}

/// A data block of a V1 table, verified, and where the values of stored runs are in it.
struct RecordBlock {
  /// Which block it is.
  struct Place: Hashable {
    let table: Int32
    let offset: Int
  }

  let place: Place
  let contents: [UInt8]
  let values: [Int: Range<Int>]
}

// MARK: - One record

/// The elements of one slice, as a V1 record has them: a `SavedSlice` with a `TensorProto`.
///
/// Only the repeated field of the element type counts, packed or not; `tensor_content` and a single
/// value for all elements are not what `RestoreV2` reads.
struct SavedRecord {
  /// Which field of TensorProto has the elements of a type, and how they are encoded there.
  private enum Encoding {
    case fixed32(field: UInt64)
    case fixed64(field: UInt64)
    case varint(field: UInt64, width: Int)
    case bool(field: UInt64)

    init?(_ dtype: DataType) {
      switch dtype {
      case .float32: self = .fixed32(field: 5)
      case .float64: self = .fixed64(field: 6)
      case .int32, .qint32: self = .varint(field: 7, width: 4)
      case .int16, .uint16: self = .varint(field: 7, width: 2)
      case .uint8, .int8, .qint8, .quint8: self = .varint(field: 7, width: 1)
      case .complex64: self = .fixed32(field: 9)
      case .int64: self = .varint(field: 10, width: 8)
      case .bool: self = .bool(field: 11)
      case .complex128: self = .fixed64(field: 12)
      case .float16: self = .varint(field: 13, width: 2)
      // TensorFlow writes neither, but reads both.
      case .uint32: self = .varint(field: 16, width: 4)
      case .uint64: self = .varint(field: 17, width: 8)
      default: return nil
      }
    }

    var field: UInt64 {
      switch self {
      case .fixed32(let field), .fixed64(let field), .varint(let field, _), .bool(let field): field
      }
    }
  }

  /// Whether V1 checkpoints can hold the type.
  static func canHold(_ dtype: DataType) -> Bool { dtype == .string || Encoding(dtype) != nil }

  /// Decodes numbers in this machine's order; nil if they are not just so many bytes.
  static func numbers(
    _ contents: [UInt8], _ value: Range<Int>, _ dtype: DataType, byteCount: Int
  ) -> [UInt8]? {
    guard let encoding = Encoding(dtype) else { return nil }
    var bytes: [UInt8] = []
    // A byte of a record is an element of eight bytes at most.
    bytes.reserveCapacity(min(byteCount, value.count * 8))
    do throws(MessageError) {
      try forEachTensorField(contents, value) { field throws(MessageError) in
        guard field.number == encoding.field, bytes.count <= byteCount else { return }
        try append(field.value, encoding, of: contents, to: &bytes, upTo: byteCount)
      }
    } catch {
      return nil
    }
    return bytes.count == byteCount ? bytes : nil
  }

  /// Decodes strings; nil if they are not just so many.
  static func strings(_ contents: [UInt8], _ value: Range<Int>, count: Int) -> StringRun? {
    var offsets = [0]
    var bytes: [UInt8] = []
    do throws(MessageError) {
      try forEachTensorField(contents, value) { field throws(MessageError) in
        guard case (8, .bytes(let range)) = field else { return }
        bytes.append(contentsOf: contents[range])
        offsets.append(bytes.count)
      }
    } catch {
      return nil
    }
    guard offsets.count - 1 == count else { return nil }
    return StringRun(offsets: offsets, place: .memory(bytes))
  }

  /// Adds the elements of one field; stops once there are more bytes than expected.
  private static func append(
    _ value: FieldReader.Value, _ encoding: Encoding, of contents: [UInt8],
    to bytes: inout [UInt8], upTo byteCount: Int
  ) throws(MessageError) {
    switch (encoding, value) {
    case (.fixed32, .bytes(let range)), (.fixed64, .bytes(let range)):
      bytes.append(contentsOf: contents[range])
    case (.fixed32, .fixed32(let element)): bytes.append(UInt64(element), width: 4)
    case (.fixed64, .fixed64(let element)): bytes.append(element, width: 8)
    case (.varint(_, let width), .varint(let element)): bytes.append(element, width: width)
    case (.bool, .varint(let element)): bytes.append(element == 0 ? 0 : 1)
    case (.varint(_, let width), .bytes(let range)):
      var reader = FieldReader(contents.span.extracting(range))
      while bytes.count <= byteCount, let element = try reader.nextVarint() {
        bytes.append(element, width: width)
      }
    case (.bool, .bytes(let range)):
      var reader = FieldReader(contents.span.extracting(range))
      while bytes.count <= byteCount, let element = try reader.nextVarint() {
        bytes.append(element == 0 ? 0 : 1)
      }
    default: break
    }
  }

  /// Hands the fields of the record's TensorProto to the body; ranges are in the contents.
  private static func forEachTensorField(
    _ contents: [UInt8], _ value: Range<Int>,
    _ body: ((number: UInt64, value: FieldReader.Value)) throws(MessageError) -> Void
  ) throws(MessageError) {
    var record = FieldReader(contents.span.extracting(value), at: value.lowerBound)
    while let field = try record.next() {
      guard case (2, .bytes(let range)) = field else { continue }
      var slice = FieldReader(contents.span.extracting(range), at: range.lowerBound)
      while let field = try slice.next() {
        guard case (3, .bytes(let range)) = field else { continue }
        var tensor = FieldReader(contents.span.extracting(range), at: range.lowerBound)
        while let field = try tensor.next() { try body(field) }
      }
    }
  }
}

extension [UInt8] {
  /// Adds a number's low bytes, low byte first.
  fileprivate mutating func append(_ number: UInt64, width: Int) {
    for shift in stride(from: UInt64(0), to: UInt64(width) * 8, by: 8) {
      append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
}

// MARK: - Loading records

extension Loading {
  /// The memory that it takes to read and decode the pieces' records, in bytes, at most about.
  mutating func recordByteCount(of pieces: [Piece], _ records: Records) throws(Problem) -> Int {
    var withStrings: Set<RecordBlock.Place> = []
    var counted: Set<RecordBlock.Place> = []
    var (block, values, slice, strings) = (0, 0, 0, 0)
    for piece in pieces {
      let isString = checkpoint.catalog.dtype(piece.tensor) == .string
      for run in checkpoint.runs(of: piece) {
        slice = max(slice, checkpoint.stored[run].byteCount)
        let stored = records.block(of: run)
        let place = RecordBlock.Place(
          table: checkpoint.stored[run].shard, offset: checkpoint.stored[run].offset)
        let isCompressed: Bool
        if let known = compressed[place] {
          isCompressed = known
        } else {
          let type = try readTable(
            run, of: piece.tensor, stored.byteCount - 5..<stored.byteCount - 4)
          isCompressed = DataBlock.isCompressed(type: type[0])
          compressed[place] = isCompressed
        }
        if counted.insert(place).inserted {
          // In a dictionary that grows: the old one beside one of up to two and a half times as many.
          values = max(values, 96 * records.count(inBlockOf: run, checkpoint.stored))
        }
        let limit = DataBlock.contentsLimit(
          byteCount: stored.byteCount, isCompressed: isCompressed)
        block = max(block, stored.byteCount + limit)
        guard isString, withStrings.insert(place).inserted else { continue }
        // The bytes, and an offset for each element of two bytes at least, each in an array that
        // grows. More than any memory is enough: sums stay numbers.
        strings = min(strings + 2 * limit + limit / 2 * 16, 1 << 50)
      }
    }
    // A byte of a record is an element of eight bytes at most.
    return block + values + min(slice, 8 * block) + strings
  }

  /// Decodes the numbers of one stored slice, which are checked with the block that they are in.
  mutating func readNumbers(
    _ run: Int, of tensor: Int, _ records: Records
  ) throws(Problem) -> [UInt8] {
    try readBlock(of: run, of: tensor, records)
    let dtype = checkpoint.catalog.dtype(tensor)
    guard let block, let value = block.values[run] else { throw recordLacks(run, tensor) }
    let numbers = SavedRecord.numbers(
      block.contents, value, dtype, byteCount: checkpoint.stored[run].byteCount)
    guard let numbers else { throw recordIsWrong(run, tensor) }
    return numbers
  }

  /// Decodes the strings of one stored slice.
  mutating func readStrings(
    _ run: Int, of tensor: Int, _ records: Records
  ) throws(Problem) -> StringRun {
    try readBlock(of: run, of: tensor, records)
    guard let block, let value = block.values[run] else { throw recordLacks(run, tensor) }
    let count = checkpoint.box(ofRun: run, of: tensor).shape.elementCount
    guard let count, let strings = SavedRecord.strings(block.contents, value, count: count) else {
      throw recordIsWrong(run, tensor)
    }
    return strings
  }

  /// Reads and verifies the block of a run, unless it is the one that was read last.
  private mutating func readBlock(
    of run: Int, of tensor: Int, _ records: Records
  ) throws(Problem) {
    let stored = checkpoint.stored[run]
    let place = RecordBlock.Place(table: stored.shard, offset: stored.offset)
    if let block, block.place == place { return }
    block = nil
    let bytes = try readTable(run, of: tensor, 0..<records.block(of: run).byteCount)
    // What was charged for it was for what it said before.
    let isCompressed = DataBlock.isCompressed(type: bytes[bytes.count - 5])
    guard compressed[place] ?? isCompressed == isCompressed else {
      throw checkpoint.problem(tensor, .checkpointChanged, "is in a table that is being written")
    }
    do throws(TableError) {
      let contents = try DataBlock.contents(of: bytes, at: stored.offset)
      block = RecordBlock(
        place: place, contents: contents,
        values: try records.values(in: contents, ofBlockOf: run, checkpoint.stored))
    } catch {
      try expectUnchanged(run)
      let problem = Problem(.table(error), in: fileName(run))
      let name = checkpoint.catalog.name(tensor)
      throw Problem(problem.reason, "tensor \(name): \(problem.message)", tensor: name)
    }
  }

  /// The file that a stored run is in, as messages call it.
  func fileName(_ run: Int) -> String {
    files.name(ofShard: checkpoint.stored[run].shard, of: checkpoint.shardCount)
  }

  private func recordLacks(_ run: Int, _ tensor: Int) -> Problem {
    checkpoint.problem(
      tensor, .corrupt,
      "lists slice \(checkpoint.box(ofRun: run, of: tensor).inMessage), whose record is not in "
        + fileName(run))
  }

  private func recordIsWrong(_ run: Int, _ tensor: Int) -> Problem {
    let box = checkpoint.box(ofRun: run, of: tensor)
    return checkpoint.problem(
      tensor, .corrupt,
      "has a damaged record of slice \(box.inMessage) in \(fileName(run)): expected "
        + "\(box.shape.elementCount ?? 0) elements of dtype "
        + checkpoint.catalog.dtype(tensor).name)
  }
}
