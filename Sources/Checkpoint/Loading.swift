package import WarmstartKernel
import WarmstartTable
package import WarmstartTensorModel

/// Reads stored runs, each once: verifies their checksums and fills pieces of an arena on the way.
///
/// All bytes pass through a private buffer, so that the bytes that fill a piece are those that were
/// verified. The caller seals the arena only if every checksum matched.
package struct Loading {
  /// A piece, and its place in the arena.
  package struct Target: Sendable {
    package let piece: Piece
    /// The offset in the arena, a multiple of the piece's alignment.
    package let offset: Int
    package let byteCount: Int

    package init(piece: Piece, offset: Int, byteCount: Int) {
      self.piece = piece
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  let checkpoint: Checkpoint
  var reader: RunReader
  private var strings: StringFiller

  package init(
    _ checkpoint: Checkpoint, _ files: FileSet, keepsCached: Bool = true,
    checkIn: @escaping () throws(Problem) -> Void, didRead: @escaping (Int) -> Void = { _ in }
  ) {
    self.checkpoint = checkpoint
    reader = RunReader(
      checkpoint, files, keepsCached: keepsCached, checkIn: checkIn, didRead: didRead)
    strings = StringFiller(checkpoint)
  }

  // MARK: Sizes

  /// The bytes that a piece takes in an arena.
  ///
  /// For strings, reads and verifies their lengths.
  package mutating func byteCount(of piece: Piece) throws(Problem) -> Int {
    guard checkpoint.catalog.dtype(piece.tensor).byteCount != nil else {
      return try strings.byteCount(of: piece, &reader)
    }
    guard let count = checkpoint.byteCount(of: piece) else {
      let shape = checkpoint.shape(of: piece)
      throw checkpoint.problem(piece.tensor, .corrupt, "has the impossible shape \(shape)")
    }
    return count
  }

  /// Reads the lengths of the pieces' strings, in the order of the files.
  package mutating func readStrings(of pieces: [Piece]) throws(Problem) {
    try strings.readLengths(of: pieces, &reader)
  }

  /// The most memory that planning the pieces and decoding V1 records takes, in bytes,
  /// approximately.
  package mutating func decodingByteCount(of pieces: [Piece]) throws(Problem) -> Int {
    var sum = 0
    func add(_ count: Int, of byteCount: Int) {
      let (product, overflow) = count.multipliedReportingOverflow(by: byteCount)
      let (next, isTooMuch) = sum.addingReportingOverflow(product)
      sum = overflow || isTooMuch ? .max : next
    }
    var strings: Set<Int> = []
    for piece in pieces {
      let runs = checkpoint.runs(of: piece)
      // The position of each gathered row or column, and room to sort them.
      add(piece.gather?.indexCount ?? 0, of: 16)
      // The runs that a piece takes from.
      add(runs.count, of: 24)
      guard checkpoint.catalog.dtype(piece.tensor) == .string else { continue }
      // Each element has at least one byte, and an offset in its run.
      var elementCount = 0
      for run in runs {
        let block = checkpoint.records?.block(of: run).byteCount
        let bytes =
          block.map { DataBlock.contentsLimit(byteCount: $0, isCompressed: true) }
          ?? max(0, checkpoint.stored[run].byteCount)
        let box = checkpoint.box(ofRun: run, of: piece.tensor)
        let count = min(bytes, box.shape.elementCount ?? bytes)
        let (total, overflow) = elementCount.addingReportingOverflow(count)
        elementCount = overflow ? .max : total
        if checkpoint.records == nil, strings.insert(run).inserted { add(count, of: 8) }
      }
      guard piece.slice != nil || runs.count > 1 else { continue }
      // The cuts of the run, an offset in the piece, and a copy.
      let shape = checkpoint.shape(of: piece.tensor, piece.slice)
      add(min(elementCount, shape.elementCount ?? elementCount), of: 40)
    }
    if let records = checkpoint.records {
      add(try reader.recordByteCount(of: pieces, records), of: 1)
    }
    return sum
  }

  // MARK: Loading

  /// Verifies runs, each given with its tensor, and fills the targets in an arena.
  ///
  /// - Throws: The first problem. The bytes of the arena are then worthless.
  package mutating func load(
    verifying runs: [(run: Int, tensor: Int)], filling targets: [Target],
    of arena: inout Arena
  ) throws(Problem) {
    let filled = try strings.fill(targets, &arena, &reader)
    let numbers = try NumberFiller(checkpoint, targets, reader.checkIn)
    let order = checkpoint.inOrderOfDisk(runs + numbers.runs)
    if let records = checkpoint.records {
      for (run, tensor) in order {
        try reader.checkIn()
        if checkpoint.catalog.dtype(tensor) == .string {
          // Decoding the record verifies it.
          _ = try strings.storedStrings(run, of: tensor, &reader)
          strings.forget(run)
        } else {
          let bytes = try reader.readNumbers(run, of: tensor, records)
          try numbers.copy(bytes, of: run, to: &arena, reader.checkIn)
        }
        reader.didRead(checkpoint.stored[run].byteCount)
      }
    } else {
      reader.reserveBuffer(forAll: order)
      for (place, (run, tensor)) in order.enumerated() {
        try reader.readAhead(order[place...])
        if checkpoint.catalog.dtype(tensor) == .string {
          let lengths = try reader.readLengths(run, of: tensor)
          try reader.stream(lengths, at: run, of: tensor) { _, _ in }
        } else {
          try numbers.stream(run, of: tensor, to: &arena, &reader)
        }
      }
    }
    try reader.expectFilesUnchanged(order + filled)
  }
}

extension Checkpoint {
  /// The runs in the order of their files and offsets, without duplicates.
  func inOrderOfDisk(_ work: [(run: Int, tensor: Int)]) -> [(run: Int, tensor: Int)] {
    let sorted = work.sorted { first, second in
      let (left, right) = (stored[first.run], stored[second.run])
      return (left.shard, left.offset, first.run) < (right.shard, right.offset, second.run)
    }
    var last = -1
    return sorted.filter { item in
      defer { last = item.run }
      return item.run != last
    }
  }
}
