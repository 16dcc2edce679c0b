import SystemPackage
import WarmstartKernel
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

  /// The bytes that are read, verified and copied at a time, so that the buffer stays in the
  /// second-level cache.
  static let chunkByteCount = 512 << 10

  let checkpoint: Checkpoint
  let files: FileSet
  /// Whether the bytes that were read stay in the page cache.
  let keepsCached: Bool
  /// Throws if no client waits for the result any more; called between chunks.
  let checkIn: () throws(Problem) -> Void
  /// Receives the number of bytes of stored runs after each read.
  let didRead: (Int) -> Void
  /// The plans for pieces of strings, made when their size was asked for.
  private var plans: [Piece: StringPlan] = [:]
  /// The stored strings that the plans refer to, by run, so that each run is read once.
  var strings: [Int: StringRun] = [:]
  /// The block of a V1 table that was read last.
  var block: RecordBlock?
  /// Whether blocks of V1 tables were compressed when memory was charged for them.
  var compressed: [RecordBlock.Place: Bool] = [:]
  var buffer: [UInt8] = []
  /// The range of a data file that the front of the buffer holds, for several runs; and which file.
  var ahead = 0..<0
  var aheadShard = Checkpoint.StoredBytes.missing

  package init(
    _ checkpoint: Checkpoint, _ files: FileSet, keepsCached: Bool = true,
    checkIn: @escaping () throws(Problem) -> Void, didRead: @escaping (Int) -> Void = { _ in }
  ) {
    self.keepsCached = keepsCached
    self.checkpoint = checkpoint
    self.files = files
    self.checkIn = checkIn
    self.didRead = didRead
  }

  /// The bytes that a piece takes in an arena.
  ///
  /// For strings, reads and verifies their lengths.
  package mutating func byteCount(of piece: Piece) throws(Problem) -> Int {
    if checkpoint.catalog.dtype(piece.tensor).byteCount != nil {
      guard let count = checkpoint.byteCount(of: piece) else {
        let shape = checkpoint.shape(of: piece)
        throw checkpoint.problem(piece.tensor, .corrupt, "has the impossible shape \(shape)")
      }
      return count
    }
    let plan = try planStrings(piece)
    guard let byteCount = plan.byteCount else {
      throw checkpoint.problem(piece.tensor, .corrupt, "has more than 2^63 bytes of strings")
    }
    plans[piece] = plan
    return byteCount
  }

  /// Verifies runs, each given with its tensor, and fills the targets in an arena.
  ///
  /// - Throws: The first problem. The bytes of the arena are then worthless.
  package mutating func load(
    verifying runs: [(run: Int, tensor: Int)], filling targets: [Target],
    of arena: inout MutableRawSpan
  ) throws(Problem) {
    let filled = try fillStrings(targets, &arena)
    var work = runs
    // The copies are planned when their run is read: there may be many pairs of runs and targets.
    var takers: [Int: [Int]] = [:]
    var orders: [Int: GatherOrder] = [:]
    for (index, target) in targets.enumerated() {
      let tensor = target.piece.tensor
      guard checkpoint.catalog.dtype(tensor) != .string else { continue }
      if let gather = target.piece.gather {
        try checkIn()
        orders[index] = GatherOrder(gather)
      }
      for run in checkpoint.runs(of: target.piece) {
        if takers[run] == nil { work.append((run, tensor)) }
        takers[run, default: []].append(index)
      }
    }
    let order = inOrderOfDisk(work)
    let total = order.reduce(0) { total, item in
      let (sum, overflow) = total.addingReportingOverflow(checkpoint.stored[item.run].byteCount)
      return overflow ? .max : min(sum, Loading.chunkByteCount)
    }
    if let records = checkpoint.records {
      for (run, tensor) in order {
        try checkIn()
        guard checkpoint.catalog.dtype(tensor) != .string else {
          // Decoding the record verifies it.
          _ = try storedStrings(run, of: tensor)
          strings[run] = nil
          didRead(checkpoint.stored[run].byteCount)
          continue
        }
        let numbers = try readNumbers(run, of: tensor, records)
        for var copy in copies(of: run, for: takers[run] ?? [], targets, orders) {
          try copy.copy(numbers.rawSpan, at: 0, to: &arena, checkIn)
        }
        didRead(checkpoint.stored[run].byteCount)
      }
      return try expectFilesUnchanged(order + filled)
    }
    reserveBuffer(total)
    for (place, (run, tensor)) in order.enumerated() {
      if !isAhead(checkpoint.stored[run]) { try readAhead(order[place...]) }
      let copies = copies(of: run, for: takers[run] ?? [], targets, orders)
      try stream(run, of: tensor, copies, &arena)
    }
    for target in targets where checkpoint.isBigEndian {
      guard let width = checkpoint.catalog.dtype(target.piece.tensor).swappedByteCount
      else { continue }
      arena.reverseBytes(in: target.offset..<target.offset + target.byteCount, width: width)
    }
    try expectFilesUnchanged(order + filled)
  }

  /// The copies from a stored run to the targets that take from it.
  private func copies(
    of run: Int, for takers: [Int], _ targets: [Target], _ orders: [Int: GatherOrder]
  ) -> [Copies] {
    takers.compactMap { taker in
      let (piece, offset) = (targets[taker].piece, targets[taker].offset)
      return checkpoint.catalog.dtype(piece.tensor).byteCount.flatMap { width in
        let box = checkpoint.box(ofRun: run, of: piece.tensor)
        if let order = orders[taker] {
          let shape = checkpoint.shape(of: piece)
          return GatheredRuns(from: box, order, to: shape, at: offset, width: width)
            .map { .gathered($0) }
        }
        let wanted = piece.slice ?? TensorSlice(whole: checkpoint.catalog.shape(piece.tensor))
        return Runs(from: box, to: wanted, at: offset, width: width).map { .box($0) }
      }
    }
  }

  /// Fills the targets of strings; returns the runs that were read for them, each with its tensor.
  private mutating func fillStrings(
    _ targets: [Target], _ arena: inout MutableRawSpan
  ) throws(Problem) -> [(run: Int, tensor: Int)] {
    var work: [(run: Int, tensor: Int)] = []
    var copies: [Int: [StringCopies]] = [:]
    for target in targets where checkpoint.catalog.dtype(target.piece.tensor) == .string {
      let planned = plans.removeValue(forKey: target.piece)
      let plan = if let planned { planned } else { try planStrings(target.piece) }
      plan.writeOffsets(to: &arena, at: target.offset)
      for part in plan.parts {
        if copies[part.run] == nil { work.append((part.run, target.piece.tensor)) }
        copies[part.run, default: []].append(
          StringCopies(part.copies, to: target.offset + plan.offsets.count * 8))
      }
    }
    let order = inOrderOfDisk(work)
    for (run, tensor) in order {
      var copies = copies[run] ?? []
      try stream(try storedStrings(run, of: tensor), at: run, of: tensor) { chunk, offset in
        for index in copies.indices { copies[index].copy(chunk, at: offset, to: &arena) }
      }
      strings[run] = nil
    }
    return order
  }

  /// The runs in the order of their files and offsets, without duplicates.
  func inOrderOfDisk(_ work: [(run: Int, tensor: Int)]) -> [(run: Int, tensor: Int)] {
    let sorted = work.sorted { first, second in
      let (left, right) = (checkpoint.stored[first.run], checkpoint.stored[second.run])
      return (left.shard, left.offset, first.run) < (right.shard, right.offset, second.run)
    }
    var last = -1
    return sorted.filter { item in
      defer { last = item.run }
      return item.run != last
    }
  }

  private mutating func stream(
    _ position: Int, of tensor: Int, _ copies: [Copies], _ arena: inout MutableRawSpan
  ) throws(Problem) {
    let run = checkpoint.stored[position]
    guard checkpoint.catalog.dtype(tensor) != .string else {
      let strings = try readLengths(position, of: tensor)
      return try stream(strings, at: position, of: tensor) { _, _ in }
    }
    var copies = copies
    var checksum = Checksum()
    var done = 0
    while done < run.byteCount {
      let count: Int
      let start: Int
      if isAhead(run) {
        (start, count) = (run.offset - ahead.lowerBound, run.byteCount)
      } else {
        try checkIn()
        (start, count) = (0, min(buffer.count, run.byteCount - done))
        try read(run, of: tensor, from: done, count: count)
      }
      let chunk = buffer.rawSpan.extracting(start..<start + count)
      checksum.update(chunk)
      for index in copies.indices {
        try copies[index].copy(chunk, at: done, to: &arena, checkIn)
      }
      done += count
      didRead(count)
    }
    try expect(checksum, run, of: tensor)
  }
}
