import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// The contiguous runs of bytes that are copied from one box of a tensor into another.
///
/// Each box is a dense array in C order; the runs cover their intersection. They come in ascending
/// order of the source, so that the source can stream past once.
struct Runs {
  private let runByteCount: Int
  private let counts: [Int]
  private let sourceSteps: [Int]
  private let targetSteps: [Int]
  private var indices: [Int]
  private var sourceOffset: Int
  private var targetOffset: Int
  private var isFinished = false

  /// Plans to copy the intersection of two boxes; nil if it is empty.
  ///
  /// The caller has checked that all lengths in bytes fit in an `Int`.
  ///
  /// - Parameters:
  ///   - targetOffset: Where the target begins in the bytes that are written.
  ///   - width: The length of an element, in bytes.
  init?(from source: TensorSlice, to target: TensorSlice, at targetOffset: Int, width: Int) {
    guard let common = source.intersection(target) else { return nil }
    let sourceSteps = Runs.steps(source.counts, width: width)
    let targetSteps = Runs.steps(target.counts, width: width)
    // Axes that both boxes and their intersection have whole merge into one run with the axis
    // before.
    var axis = common.counts.count - 1
    while axis > 0, common.counts[axis] == source.counts[axis],
      common.counts[axis] == target.counts[axis]
    {
      axis -= 1
    }
    let outer = max(0, axis)
    runByteCount = axis < 0 ? width : common.counts[axis] * sourceSteps[axis]
    // An axis of one index needs no steps.
    let walked = (0..<outer).filter { common.counts[$0] > 1 }
    counts = walked.map { common.counts[$0] }
    self.sourceSteps = walked.map { sourceSteps[$0] }
    self.targetSteps = walked.map { targetSteps[$0] }
    indices = Array(repeating: 0, count: walked.count)
    var from = 0
    var to = targetOffset
    for axis in common.counts.indices {
      from += (common.starts[axis] - source.starts[axis]) * sourceSteps[axis]
      to += (common.starts[axis] - target.starts[axis]) * targetSteps[axis]
    }
    sourceOffset = from
    self.targetOffset = to
  }

  /// Plans to copy a box of a tensor whose elements lie at steps of their own; nil if it is empty.
  ///
  /// No two elements share a place: each step exceeds what all shorter ones span together, as in
  /// views that slices and permutations of dense arrays make. So the source ascends if the axis with
  /// the longest step is walked outermost. The caller has checked that all offsets fit in an `Int`.
  ///
  /// - Parameters:
  ///   - steps: The bytes from one index to the next on each axis of the source, whose first element
  ///     is at 0.
  ///   - targetOffset: Where the target begins in the bytes that are written.
  ///   - width: The length of an element, in bytes.
  init?(withSteps steps: [Int], to target: TensorSlice, at targetOffset: Int, width: Int) {
    guard !target.counts.contains(0) else { return nil }
    let targetSteps = Runs.steps(target.counts, width: width)
    var walked = target.counts.indices.filter { target.counts[$0] > 1 }
      .sorted { steps[$0] > steps[$1] }
    var runByteCount = width
    while let axis = walked.last, steps[axis] == runByteCount, targetSteps[axis] == runByteCount {
      runByteCount *= target.counts[axis]
      walked.removeLast()
    }
    self.runByteCount = runByteCount
    counts = walked.map { target.counts[$0] }
    sourceSteps = walked.map { steps[$0] }
    self.targetSteps = walked.map { targetSteps[$0] }
    indices = Array(repeating: 0, count: walked.count)
    sourceOffset = zip(target.starts, steps).reduce(0) { $0 + $1.0 * $1.1 }
    self.targetOffset = targetOffset
  }

  /// The bytes from one index to the next on each axis of a dense array.
  static func steps(_ counts: [Int], width: Int) -> [Int] {
    var steps = counts
    var step = width
    for axis in counts.indices.reversed() {
      steps[axis] = step
      step *= counts[axis]
    }
    return steps
  }

  /// Copies the wanted bytes of a chunk, and reverses the bytes of each number of `swapped` bytes.
  ///
  /// Chunks must come in order, without gaps.
  mutating func copy(
    _ chunk: RawSpan, at chunkOffset: Int, to arena: inout Arena, swapped: Int
  ) throws(Errno) {
    let chunkEnd = chunkOffset + chunk.byteCount
    while !isFinished, sourceOffset < chunkEnd {
      if let last = counts.indices.last, sourceOffset >= chunkOffset,
        runByteCount <= chunkEnd - sourceOffset
      {
        // All runs on the last axis that the chunk has whole: there may be millions.
        let room = chunkEnd - sourceOffset - runByteCount
        let count = min(counts[last] - indices[last], room / max(1, sourceSteps[last]) + 1)
        let end = targetOffset + (count - 1) * targetSteps[last] + runByteCount
        try arena.reserve(upTo: end)
        var bytes = arena.bytes
        bytes.copyRows(
          chunk, from: sourceOffset - chunkOffset, step: sourceSteps[last], to: targetOffset,
          step: targetSteps[last], byteCount: runByteCount, count: count)
        reverse(count, targetSteps[last], in: &bytes, swapped)
        advance(by: count)
        continue
      }
      // A run that began in an earlier chunk continues at the start of this one.
      let skipped = max(0, chunkOffset - sourceOffset)
      let end = min(sourceOffset + runByteCount, chunkEnd)
      let count = end - sourceOffset - skipped
      try arena.reserve(upTo: targetOffset + skipped + count)
      var bytes = arena.bytes
      bytes.copy(
        chunk, from: sourceOffset + skipped - chunkOffset, to: targetOffset + skipped,
        count: count)
      if swapped > 1 {
        bytes.reverseBytes(
          in: targetOffset + skipped..<targetOffset + skipped + count, width: swapped)
      }
      guard end == sourceOffset + runByteCount else { return }
      advance()
    }
  }

  private func reverse(
    _ count: Int, _ step: Int, in bytes: inout MutableRawSpan, _ width: Int
  ) {
    guard width > 1 else { return }
    for row in 0..<count {
      let start = targetOffset + row * step
      bytes.reverseBytes(in: start..<start + runByteCount, width: width)
    }
  }

  /// Where the byte at an offset of the source goes, and the bytes that follow it there.
  ///
  /// Nil unless the offset is in the next run. Offsets must come in order.
  func place(of offset: Int) -> (target: Int, count: Int)? {
    guard !isFinished, offset >= sourceOffset, offset < sourceOffset + runByteCount else {
      return nil
    }
    let skipped = offset - sourceOffset
    return (targetOffset + skipped, runByteCount - skipped)
  }

  /// The bytes from an offset of the source to the next run; nil in a run and after the last one.
  func distance(from offset: Int) -> Int? {
    isFinished || sourceOffset <= offset ? nil : sourceOffset - offset
  }

  /// The length of each run, in bytes.
  var byteCount: Int { runByteCount }

  /// Takes the bytes up to an offset of the source as copied.
  mutating func skip(to offset: Int) {
    while !isFinished, sourceOffset + runByteCount <= offset { advance() }
  }

  /// The next run: its offsets in the source and in the target, and its length.
  mutating func next() -> (source: Int, target: Int, count: Int)? {
    guard !isFinished else { return nil }
    defer { advance() }
    return (sourceOffset, targetOffset, runByteCount)
  }

  /// Goes on by a number of runs on the last axis, which must have them.
  private mutating func advance(by count: Int = 1) {
    var count = count
    for axis in indices.indices.reversed() {
      indices[axis] += count
      sourceOffset += count * sourceSteps[axis]
      targetOffset += count * targetSteps[axis]
      count = 1
      if indices[axis] < counts[axis] { return }
      sourceOffset -= counts[axis] * sourceSteps[axis]
      targetOffset -= counts[axis] * targetSteps[axis]
      indices[axis] = 0
    }
    isFinished = true
  }
}
