import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// The contiguous runs of bytes that are copied from one box of a tensor to a part of a piece.
///
/// They come in ascending order of the source, so that the source can stream past once.
struct Runs {
  /// The fewest elements that go in tiles.
  ///
  /// To copy fewer one by one takes less time than to make a tile: measured.
  private static let leastTransposedCount = 64

  private let runByteCount: Int
  private let counts: [Int]
  private let sourceSteps: [Int]
  private let targetSteps: [Int]
  private var indices: [Int]
  private var sourceOffset: Int
  private var targetOffset: Int
  private var isFinished = false

  /// Plans to copy the intersection of two boxes, each a dense array; nil if it is empty.
  ///
  /// The source is in C order, the target in that of a view. The caller has checked that all
  /// lengths in bytes fit in an `Int`.
  ///
  /// - Parameters:
  ///   - targetOffset: Where the target begins in the bytes that are written.
  ///   - width: The length of an element, in bytes.
  ///   - targetWidth: The length of an element in the target; nil if it is the same.
  init?(
    from source: TensorSlice, to target: TensorSlice, _ view: View = View(), at targetOffset: Int,
    width: Int, targetWidth: Int? = nil
  ) {
    guard let common = source.intersection(target) else { return nil }
    let steps = Runs.steps(target.counts, view, width: targetWidth ?? width)
    self.init(
      common.counts,
      from: Walk(to: common, in: source, Runs.steps(source.counts, width: width)),
      to: Walk(to: common, in: target, steps, at: targetOffset),
      width: width, targetWidth: targetWidth ?? width)
  }

  /// Plans to copy a box of a tensor whose elements lie at steps of their own; nil if it is empty.
  ///
  /// No two elements share a place: each step exceeds what all shorter ones span together, as in
  /// views that slices and permutations of dense arrays make. The target is dense, in the order of
  /// a view. The caller has checked that all offsets fit in an `Int`.
  ///
  /// - Parameters:
  ///   - steps: The bytes from one index to the next on each axis of the source, whose first
  ///     element is at 0.
  ///   - targetOffset: Where the target begins in the bytes that are written.
  ///   - width: The length of an element, in bytes.
  ///   - targetWidth: The length of an element in the target.
  init?(
    withSteps steps: [Int], to target: TensorSlice, _ view: View, at targetOffset: Int, width: Int,
    targetWidth: Int
  ) {
    guard !target.counts.contains(0) else { return nil }
    self.init(
      target.counts,
      from: Walk(steps, start: zip(target.starts, steps).reduce(0) { $0 + $1.0 * $1.1 }),
      to: Walk(Runs.steps(target.counts, view, width: targetWidth), start: targetOffset),
      width: width, targetWidth: targetWidth)
  }

  /// How an array lies in memory.
  private struct Walk {
    /// The bytes from one index to the next on each axis.
    let steps: [Int]
    /// The offset of the first element that is copied.
    let start: Int

    init(_ steps: [Int], start: Int) {
      self.steps = steps
      self.start = start
    }

    /// Begins at the first element of a box that lies in another.
    init(to inner: TensorSlice, in outer: TensorSlice, _ steps: [Int], at offset: Int = 0) {
      self.steps = steps
      start = inner.starts.indices.reduce(offset) { sum, axis in
        sum + (inner.starts[axis] - outer.starts[axis]) * steps[axis]
      }
    }
  }

  private init(_ lengths: [Int], from source: Walk, to target: Walk, width: Int, targetWidth: Int) {
    // An axis of one index needs no steps. The source ascends if the axis with the longest step is
    // walked outermost.
    var walked = lengths.indices.filter { lengths[$0] > 1 }
      .sorted { source.steps[$0] > source.steps[$1] }
    // Axes that follow one another in both arrays without gaps are one run.
    var elementCount = 1
    while let axis = walked.last, source.steps[axis] == elementCount * width,
      target.steps[axis] == elementCount * targetWidth
    {
      elementCount *= lengths[axis]
      walked.removeLast()
    }
    runByteCount = elementCount * width
    counts = walked.map { lengths[$0] }
    sourceSteps = walked.map { source.steps[$0] }
    targetSteps = walked.map { target.steps[$0] }
    indices = Array(repeating: 0, count: walked.count)
    sourceOffset = source.start
    targetOffset = target.start
  }

  /// The bytes from one index to the next on each axis of an array that is dense in a view's order.
  static func steps(_ counts: [Int], _ view: View, width: Int) -> [Int] {
    view.tensorOrder(steps(view.variableOrder(counts), width: width))
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

  /// Puts the wanted bytes of a chunk into an arena.
  ///
  /// Chunks must come in order, without gaps, and begin at whole elements.
  mutating func copy(
    _ chunk: RawSpan, at chunkOffset: Int, to arena: inout Arena, _ form: NumberForm
  ) throws(Errno) {
    let chunkEnd = chunkOffset + chunk.byteCount
    while !isFinished, sourceOffset < chunkEnd {
      if runByteCount == form.width,
        let rowCount = transposedRowCount(in: chunkOffset..<chunkEnd)
      {
        let last = counts.count - 1
        let end =
          targetOffset + (rowCount - 1) * targetSteps[last - 1]
          + (counts[last] - 1) * targetSteps[last] + form.targetByteCount(runByteCount)
        try arena.reserve(upTo: end)
        var bytes = arena.bytes
        form.putTransposed(
          chunk, from: sourceOffset - chunkOffset, rowStep: sourceSteps[last - 1], to: &bytes,
          at: targetOffset, rowStep: targetSteps[last - 1], columnStep: targetSteps[last],
          rowCount: rowCount, columnCount: counts[last])
        advance(by: rowCount, on: last - 1)
        continue
      }
      if let last = counts.indices.last, sourceOffset >= chunkOffset,
        runByteCount <= chunkEnd - sourceOffset
      {
        // All runs on the last axis that the chunk has whole: there may be millions.
        let room = chunkEnd - sourceOffset - runByteCount
        let count = min(counts[last] - indices[last], room / max(1, sourceSteps[last]) + 1)
        let end =
          targetOffset + (count - 1) * targetSteps[last] + form.targetByteCount(runByteCount)
        try arena.reserve(upTo: end)
        var bytes = arena.bytes
        form.putRows(
          chunk, from: sourceOffset - chunkOffset, step: sourceSteps[last], to: &bytes,
          at: targetOffset, step: targetSteps[last], byteCount: runByteCount, count: count)
        advance(by: count)
        continue
      }
      // A run that began in an earlier chunk continues at the start of this one.
      let skipped = max(0, chunkOffset - sourceOffset)
      let end = min(sourceOffset + runByteCount, chunkEnd)
      let count = end - sourceOffset - skipped
      let offset = targetOffset + form.targetByteCount(skipped)
      try arena.reserve(upTo: offset + form.targetByteCount(count))
      var bytes = arena.bytes
      form.put(
        chunk, from: sourceOffset + skipped - chunkOffset, to: &bytes, at: offset, count: count)
      guard end == sourceOffset + runByteCount else { return }
      advance()
    }
  }

  /// The rows from the current one on that a range of the source has whole, if the target has their
  /// columns as rows; nil if it has not, or if these are few elements.
  private func transposedRowCount(in range: Range<Int>) -> Int? {
    let last = counts.count - 1
    guard last > 0, sourceSteps[last] == runByteCount, targetSteps[last] > targetSteps[last - 1],
      indices[last] == 0, sourceOffset >= range.lowerBound
    else { return nil }
    let room = range.upperBound - sourceOffset - counts[last] * runByteCount
    guard room >= sourceSteps[last - 1] else { return nil }
    let count = min(counts[last - 1] - indices[last - 1], room / sourceSteps[last - 1] + 1)
    return count * counts[last] >= Self.leastTransposedCount ? count : nil
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

  /// Goes on by a number of indices on an axis, which must have them; by default by runs on the last
  /// axis.
  private mutating func advance(by count: Int = 1, on axis: Int? = nil) {
    var count = count
    for axis in (0..<(axis.map { $0 + 1 } ?? indices.count)).reversed() {
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
