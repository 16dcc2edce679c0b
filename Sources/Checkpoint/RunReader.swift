import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// Reads stored runs from their files.
///
/// Runs are read through one buffer; small runs that are neighbours in a file are read at once. An
/// error says what happened to the file: it has changed, it is missing or cut off, or Git LFS has
/// not fetched it.
struct RunReader {
  /// The bytes that are read, verified and copied at a time, so that the buffer stays in the
  /// second-level cache.
  static let chunkByteCount = 512 << 10
  /// The bytes that are read and verified at a time in the arena; half a buffer, because the kernel
  /// touches their source as well.
  static let directByteCount = 256 << 10
  /// The longest gap between two runs that is read too, to save a second read.
  private static let gapByteCount = Mapping.pageByteCount

  let checkpoint: Checkpoint
  let files: FileSet
  /// Whether the bytes that were read stay in the page cache.
  let keepsCached: Bool
  /// Throws if no client waits for the result any more; called between chunks.
  let checkIn: () throws(Problem) -> Void
  /// Receives the number of bytes of stored runs after each read.
  let didRead: (Int) -> Void
  /// Brings files into the page cache in huge pages, ahead of the reads; nil to leave that to the
  /// kernel's own read-ahead.
  var warmUp: WarmUp?
  private(set) var buffer: [UInt8] = []
  /// The range of a data file that the front of the buffer holds, for several runs; and which file.
  private(set) var ahead = 0..<0
  private var aheadShard = Checkpoint.StoredBytes.missing
  /// The block of a V1 table that was read last.
  var block: RecordBlock?
  /// Whether blocks of V1 tables were compressed when memory was charged for them.
  var compressed: [RecordBlock.Place: Bool] = [:]

  init(
    _ checkpoint: Checkpoint, _ files: FileSet, keepsCached: Bool = true,
    checkIn: @escaping () throws(Problem) -> Void, didRead: @escaping (Int) -> Void = { _ in }
  ) {
    self.checkpoint = checkpoint
    self.files = files
    self.keepsCached = keepsCached
    self.checkIn = checkIn
    self.didRead = didRead
  }

  /// Makes the buffer as long as a number of bytes, but no longer than a chunk.
  ///
  /// Its length is a multiple of every element's, so that no element of a run is in two chunks.
  mutating func reserveBuffer(_ byteCount: Int) {
    let count = (min(RunReader.chunkByteCount, max(byteCount, 1)) + 15) & ~15
    guard buffer.count < count else { return }
    buffer = [UInt8](repeating: 0, count: count)
    ahead = 0..<0
  }

  /// Makes the buffer as long as all runs together, but no longer than a chunk.
  mutating func reserveBuffer(forAll order: [(run: Int, tensor: Int)]) {
    let total = order.reduce(0) { total, item in
      let (sum, overflow) = total.addingReportingOverflow(checkpoint.stored[item.run].byteCount)
      return overflow ? .max : min(sum, RunReader.chunkByteCount)
    }
    reserveBuffer(total)
  }

  /// Whether the buffer already has all bytes of a run.
  func isAhead(_ run: Checkpoint.StoredBytes) -> Bool {
    run.shard == aheadShard && run.offset >= ahead.lowerBound
      && run.offset <= ahead.upperBound && run.byteCount <= ahead.upperBound - run.offset
  }

  /// Reads several small runs that follow one another in a file at once, unless the buffer already
  /// has the first one.
  ///
  /// Ignores errors: bytes that are missing are read again, and reported, with their run.
  mutating func readAhead(
    _ order: ArraySlice<(run: Int, tensor: Int)>
  ) throws(Problem) {
    guard let first = order.first.map({ checkpoint.stored[$0.run] }), first.byteCount > 0,
      !isAhead(first)
    else { return }
    ahead = 0..<0
    var end = first.offset
    var count = 0
    for (run, _) in order {
      let run = checkpoint.stored[run]
      // The runs are sorted by offset. Those with bytes were placed, so they lie in their file.
      guard run.shard == first.shard, run.byteCount > 0, run.offset - end <= RunReader.gapByteCount,
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
    warmUp?.reach(first.offset + range.upperBound, of: files.members[position])
    guard let read = try? file.read(at: first.offset, into: &buffer, range: range) else { return }
    if !keepsCached { file.dropCached(at: first.offset, byteCount: read) }
    ahead = first.offset..<first.offset + read
    aheadShard = first.shard
  }

  /// Reads bytes of a run into the front of the buffer.
  mutating func read(
    _ run: Checkpoint.StoredBytes, of tensor: Int, from start: Int, count: Int
  ) throws(Problem) {
    ahead = 0..<0
    if let position = files.position(ofShard: run.shard, of: checkpoint.shardCount) {
      warmUp?.reach(run.offset + start + count, of: files.members[position])
    }
    try buffer.write(0..<count) { front throws(Problem) in
      try checkpoint.read(run, of: tensor, from: start, into: &front, files, keepsCached)
    }
  }

  /// How far a run was read, and the checksum of its bytes up to there.
  struct Passage {
    fileprivate(set) var offset = 0
    fileprivate(set) var checksum: RunChecksum

    /// Begins at the start of a run.
    init(of run: Checkpoint.StoredBytes) {
      checksum = RunChecksum(run.checksum)
    }
  }

  /// Passes the next bytes of a run to the body, with their offset.
  ///
  /// - Parameter limit: The most bytes to pass.
  mutating func pass(
    _ run: Checkpoint.StoredBytes, of tensor: Int, _ passage: inout Passage, upTo limit: Int?,
    _ body: (RawSpan, Int) throws(Problem) -> Void
  ) throws(Problem) {
    let (start, count): (Int, Int)
    if isAhead(run) {
      (start, count) = (run.offset - ahead.lowerBound, run.byteCount)
    } else {
      try checkIn()
      (start, count) = (0, min(buffer.count, run.byteCount - passage.offset, limit ?? .max))
      try read(run, of: tensor, from: passage.offset, count: count)
    }
    let chunk = buffer.rawSpan.extracting(start..<start + count)
    passage.checksum.update(chunk)
    try body(chunk, passage.offset)
    passage.offset += count
    didRead(count)
  }

  /// Fills a span with the next bytes of a run.
  func read(
    _ run: Checkpoint.StoredBytes, of tensor: Int, _ passage: inout Passage,
    into bytes: inout MutableRawSpan
  ) throws(Problem) {
    try checkIn()
    try checkpoint.read(
      run, of: tensor, from: passage.offset, into: &bytes, files, keepsCached)
    passage.checksum.update(bytes.bytes)
    passage.offset += bytes.byteCount
    didRead(bytes.byteCount)
  }

  /// Reads bytes of a V1 record's block; the range counts from the start of the block.
  func readTable(
    _ run: Int, of tensor: Int, _ range: Range<Int>
  ) throws(Problem) -> [UInt8] {
    let start = checkpoint.stored[run].offset + range.lowerBound
    let member = try checkpoint.member(
      ofShard: checkpoint.stored[run].shard, of: tensor, in: files)
    var bytes = [UInt8](repeating: 0, count: range.count)
    var done = 0
    while done < range.count {
      try checkIn()
      let next = done..<min(range.count, done + RunReader.chunkByteCount)
      let read: Int
      do {
        read = try member.file.read(at: start + done, into: &bytes, range: next)
      } catch {
        throw checkpoint.problem(tensor, .system, "cannot be read: \(error)")
      }
      guard read == next.count else {
        try files.expectUnchanged(member)
        throw checkpoint.problem(
          tensor, .truncated, "is in \(member), which ends at \(start + done + read)")
      }
      if !keepsCached { member.file.dropCached(at: start + done, byteCount: read) }
      done += read
    }
    return bytes
  }

  /// Throws `checkpointChanged` if the file of a run has changed.
  func expectUnchanged(_ run: Int) throws(Problem) {
    let shard = checkpoint.stored[run].shard
    guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else { return }
    try files.expectUnchanged(files.members[position])
  }

  func expect(
    _ checksum: RunChecksum, _ run: Checkpoint.StoredBytes, of tensor: Int
  ) throws(Problem) {
    guard let mismatch = checksum.mismatch else { return }
    // A file that is being written looks damaged; that it changed is the better answer.
    if let position = files.position(ofShard: run.shard, of: checkpoint.shardCount) {
      try files.expectUnchanged(files.members[position])
    }
    try expectNoPointer(run)
    throw checkpoint.problem(
      tensor, .checksumMismatch,
      "is damaged: the checksum of \(run.byteCount) bytes at \(run.offset) of "
        + "\(files.name(ofShard: run.shard, of: checkpoint.shardCount)) does not match: "
        + mismatch)
  }

  /// Throws `checkpointNotFound` if Git LFS has not fetched the file of a run.
  func expectNoPointer(_ run: Checkpoint.StoredBytes) throws(Problem) {
    guard let position = files.position(ofShard: run.shard, of: checkpoint.shardCount),
      let problem = ForeignFile.pointer(files.members[position])
    else { return }
    throw problem
  }

  /// Throws `checkpointChanged` if the file of one of the runs has changed.
  func expectFilesUnchanged(_ runs: [(run: Int, tensor: Int)]) throws(Problem) {
    for shard in Set(runs.map { checkpoint.stored[$0.run].shard }) {
      guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else {
        continue
      }
      try files.expectUnchanged(files.members[position])
    }
  }
}

extension Checkpoint {
  /// Fills a span with bytes of a run.
  fileprivate func read(
    _ run: StoredBytes, of tensor: Int, from start: Int, into bytes: inout MutableRawSpan,
    _ files: FileSet, _ keepsCached: Bool
  ) throws(Problem) {
    let member = try member(ofShard: run.shard, of: tensor, in: files)
    let read: Int
    do {
      read = try member.file.read(at: run.offset + start, into: &bytes)
    } catch {
      throw problem(tensor, .system, "cannot be read: \(error)")
    }
    if !keepsCached { member.file.dropCached(at: run.offset + start, byteCount: read) }
    guard read == bytes.byteCount else {
      try files.expectUnchanged(member)
      throw problem(
        tensor, .truncated,
        "ends after \(start + read) of \(run.byteCount) bytes in \(member)")
    }
  }
}
