import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

extension RunReader {
  /// The most memory that reading and decoding the pieces' records takes, in bytes, approximately.
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
          let typeOffset = DataBlock.typeOffset(inBlockOf: stored.byteCount)
          let type = try readTable(run, of: piece.tensor, typeOffset..<typeOffset + 1)
          isCompressed = DataBlock.isCompressed(type: type[0])
          compressed[place] = isCompressed
        }
        if counted.insert(place).inserted {
          // A dictionary that grows holds the old table beside one of up to two and a half times
          // its size.
          values = max(values, 96 * records.count(inBlockOf: run, checkpoint.stored))
        }
        let limit = DataBlock.contentsLimit(
          byteCount: stored.byteCount, isCompressed: isCompressed)
        block = max(block, stored.byteCount + limit)
        guard isString, withStrings.insert(place).inserted else { continue }
        // The bytes, and an offset for each element of at least two bytes, each in an array that
        // grows. The cap exceeds any memory, and keeps sums from overflowing.
        strings = min(strings + 2 * limit + limit / 2 * 16, 1 << 50)
      }
    }
    // One byte of a record is at most one element of eight bytes.
    return block + values + min(slice, 8 * block) + strings
  }

  /// Decodes the numbers of one stored slice.
  ///
  /// Its block's checksum covers them.
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

  /// Reads and verifies the block of a run, unless it was read last.
  private mutating func readBlock(
    of run: Int, of tensor: Int, _ records: Records
  ) throws(Problem) {
    let stored = checkpoint.stored[run]
    let place = RecordBlock.Place(table: stored.shard, offset: stored.offset)
    if let block, block.place == place { return }
    block = nil
    let bytes = try readTable(run, of: tensor, 0..<records.block(of: run).byteCount)
    // The memory was charged for a block of the earlier type.
    let isCompressed = DataBlock.isCompressed(
      type: bytes[DataBlock.typeOffset(inBlockOf: bytes.count)])
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

  /// What messages call the file of a stored run.
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
