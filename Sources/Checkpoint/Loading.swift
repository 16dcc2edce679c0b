import SystemPackage
import WarmstartKernel
import WarmstartTable
package import WarmstartTensorModel

/// Reads stored runs once: compares their checksums and fills pieces of an arena on the way.
///
/// The bytes that fill a piece are the bytes that were checksummed: they pass through a private
/// buffer, and the arena is sealed only if every checksum matched.
package struct Loading {
  /// Where a piece goes in the arena.
  package struct Target: Sendable {
    package let piece: Piece
    /// The first byte in the arena; a multiple of the piece's alignment.
    package let offset: Int
    package let byteCount: Int

    package init(piece: Piece, offset: Int, byteCount: Int) {
      self.piece = piece
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// Bytes that are read, summed and copied at a time; the buffer stays in the second-level cache.
  private static let chunkByteCount = 512 << 10
  /// Bytes between two runs that are read along rather than skipped by a second read: a page.
  private static let gapByteCount = 4096

  let checkpoint: Checkpoint
  let files: FileSet
  /// Whether what is read stays in the page cache.
  private let keepsCached: Bool
  /// Throws if nobody waits for the result any more; called between chunks.
  let checkIn: () throws(Problem) -> Void
  /// Given the number of bytes of stored runs that were just read.
  let didRead: (Int) -> Void
  /// How pieces of strings are filled, planned to learn how much room they take.
  private var plans: [Piece: StringPlan] = [:]
  /// The stored strings that the plans are about, by run: each is read once for all pieces.
  var strings: [Int: StringRun] = [:]
  /// The block of a V1 table that was read last.
  var block: RecordBlock?
  /// Which blocks of V1 tables said that they are compressed, when memory was charged for them.
  var compressed: [RecordBlock.Place: Bool] = [:]
  private(set) var buffer: [UInt8] = []
  /// What the front of the buffer holds for several runs, and of which data file.
  private var ahead = 0..<0
  private var aheadShard = Checkpoint.StoredBytes.missing

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

  /// The bytes that a piece takes in an arena; reads and checks the lengths of strings to know.
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

  /// Reads the runs, each with its tensor, and those that the targets need, into the arena's bytes.
  ///
  /// Throws the first problem; the bytes of the arena are then worthless.
  package mutating func load(
    verifying runs: [(run: Int, tensor: Int)], filling targets: [Target],
    of arena: inout MutableRawSpan
  ) throws(Problem) {
    let filled = try fillStrings(targets, &arena)
    var work = runs
    // What goes where is worked out when the run is read: there may be many pairs.
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

  /// What is copied of a stored run to each of the targets that take from it.
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

  /// Fills the targets that are strings; returns the runs that they are of, each with its tensor.
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

  /// The runs by file and offset, each once.
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

  /// Makes the buffer as long as what is to be read, but no longer than a chunk.
  mutating func reserveBuffer(_ byteCount: Int) {
    let count = min(Loading.chunkByteCount, max(byteCount, 1))
    guard buffer.count < count else { return }
    buffer = [UInt8](repeating: 0, count: count)
    ahead = 0..<0
  }

  /// Whether the buffer has all bytes of a run.
  private func isAhead(_ run: Checkpoint.StoredBytes) -> Bool {
    run.shard == aheadShard && run.offset >= ahead.lowerBound
      && run.offset <= ahead.upperBound && run.byteCount <= ahead.upperBound - run.offset
  }

  /// Reads what small runs that follow one another in a file need, at once.
  ///
  /// What is not read, for whatever reason, is missed and told of when the run is streamed.
  private mutating func readAhead(
    _ order: ArraySlice<(run: Int, tensor: Int)>
  ) throws(Problem) {
    guard let first = order.first.map({ checkpoint.stored[$0.run] }), first.byteCount > 0 else {
      return
    }
    ahead = 0..<0
    var end = first.offset
    var count = 0
    for (run, _) in order {
      let run = checkpoint.stored[run]
      // Sorted by offset; placed, so that it lies in its file, unless it has no bytes.
      guard run.shard == first.shard, run.byteCount > 0, run.offset - end <= Loading.gapByteCount,
        run.byteCount <= buffer.count - (run.offset - first.offset)
      else { break }
      end = max(end, run.offset + run.byteCount)
      count += 1
    }
    guard count > 1, let position = files.position(ofShard: first.shard, of: checkpoint.shardCount)
    else { return }
    try checkIn()
    let range = 0..<end - first.offset
    let file = files.members[position].file
    guard let read = try? file.read(at: first.offset, into: &buffer, range: range) else { return }
    if !keepsCached { file.dropCached(at: first.offset, byteCount: read) }
    ahead = first.offset..<first.offset + read
    aheadShard = first.shard
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

  /// Reads bytes of a run into the buffer's front.
  mutating func read(
    _ run: Checkpoint.StoredBytes, of tensor: Int, from start: Int, count: Int
  ) throws(Problem) {
    guard let position = files.position(ofShard: run.shard, of: checkpoint.shardCount) else {
      throw checkpoint.problem(
        tensor, .checkpointNotFound,
        "is in \(files.name(ofShard: run.shard, of: checkpoint.shardCount)), which is missing")
    }
    ahead = 0..<0
    let read: Int
    do {
      read = try files.members[position].file.read(
        at: run.offset + start, into: &buffer, range: 0..<count)
    } catch {
      throw checkpoint.problem(tensor, .system, "cannot be read: \(error)")
    }
    if !keepsCached {
      files.members[position].file.dropCached(at: run.offset + start, byteCount: read)
    }
    guard read == count else {
      try files.expectUnchanged(files.members[position])
      throw checkpoint.problem(
        tensor, .truncated,
        "ends after \(start + read) of \(run.byteCount) bytes in \(files.members[position])")
    }
  }

  /// Reads bytes of the block of a V1 record, counted from the block's start.
  func readTable(
    _ run: Int, of tensor: Int, _ range: Range<Int>
  ) throws(Problem) -> [UInt8] {
    let start = checkpoint.stored[run].offset + range.lowerBound
    let shard = checkpoint.stored[run].shard
    guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else {
      throw checkpoint.problem(
        tensor, .checkpointNotFound,
        "is in \(files.name(ofShard: shard, of: checkpoint.shardCount)), which is missing")
    }
    var bytes = [UInt8](repeating: 0, count: range.count)
    var done = 0
    while done < range.count {
      try checkIn()
      let next = done..<min(range.count, done + Loading.chunkByteCount)
      let read: Int
      do {
        read = try files.members[position].file.read(at: start + done, into: &bytes, range: next)
      } catch {
        throw checkpoint.problem(tensor, .system, "cannot be read: \(error)")
      }
      guard read == next.count else {
        try files.expectUnchanged(files.members[position])
        throw checkpoint.problem(
          tensor, .truncated,
          "is in \(files.members[position]), which ends at \(start + done + read)")
      }
      if !keepsCached {
        files.members[position].file.dropCached(at: start + done, byteCount: read)
      }
      done += read
    }
    return bytes
  }

  /// Throws if the file of a run is no longer what it was.
  func expectUnchanged(_ run: Int) throws(Problem) {
    let shard = checkpoint.stored[run].shard
    guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else { return }
    try files.expectUnchanged(files.members[position])
  }

  func expect(
    _ checksum: Checksum, _ run: Checkpoint.StoredBytes, of tensor: Int
  ) throws(Problem) {
    guard checksum.masked != run.maskedChecksum else { return }
    // A file that is being written looks damaged: that it changed is the better answer.
    if let position = files.position(ofShard: run.shard, of: checkpoint.shardCount) {
      try files.expectUnchanged(files.members[position])
    }
    try expectNoPointer(run)
    throw checkpoint.problem(
      tensor, .checksumMismatch,
      "is damaged: the checksum of \(run.byteCount) bytes at \(run.offset) of "
        + "\(files.name(ofShard: run.shard, of: checkpoint.shardCount)) does not match: "
        + "stored \(Checksum.unmask(run.maskedChecksum)), calculated \(checksum.value)")
  }

  /// Throws if a run's file is one that Git LFS has not fetched.
  func expectNoPointer(_ run: Checkpoint.StoredBytes) throws(Problem) {
    guard let position = files.position(ofShard: run.shard, of: checkpoint.shardCount),
      let problem = ForeignFile.pointer(files.members[position])
    else { return }
    throw problem
  }

  /// Throws if a file that one of the runs is in is no longer what it was.
  func expectFilesUnchanged(_ runs: [(run: Int, tensor: Int)]) throws(Problem) {
    for shard in Set(runs.map { checkpoint.stored[$0.run].shard }) {
      guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else {
        continue
      }
      try files.expectUnchanged(files.members[position])
    }
  }
}
