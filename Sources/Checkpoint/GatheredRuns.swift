import WarmstartKernel
import WarmstartTensorModel

/// The contiguous runs of bytes that a gather copies from one box of a tensor to a piece.
///
/// The box and the piece are dense arrays in C order. A run may go to several rows or columns. The
/// runs come in ascending order of the source, so that the source can stream past once. Indices
/// that the box does not have cost nothing.
struct GatheredRuns {
  /// An axis with more than one index to copy.
  private struct Axis {
    let chosen: GatherOrder.Axis?
    /// Positions in the order of the gathered indices; without a gather, the tensor's indices.
    let range: Range<Int>
    /// The tensor's index at the start of the source.
    let start: Int
    let sourceStep: Int
    let targetStep: Int
    /// The positions that receive the current index of the tensor.
    var group: Range<Int>
    /// The one of them that receives it now.
    var place = 0

    init(
      _ chosen: GatherOrder.Axis?, _ range: Range<Int>, from start: Int, sourceStep: Int,
      targetStep: Int
    ) {
      self.chosen = chosen
      self.range = range
      self.start = start
      self.sourceStep = sourceStep
      self.targetStep = targetStep
      group = 0..<0
      place = range.lowerBound
      group = group(from: place)
    }

    /// The offset of the current index in the source.
    var source: Int {
      sourceStep * ((chosen?.source(group.lowerBound) ?? group.lowerBound) - start)
    }

    /// The bytes in the source from the first index to the last.
    var distance: Int {
      let (first, last) = (range.lowerBound, range.upperBound - 1)
      return sourceStep * ((chosen?.source(last) ?? last) - (chosen?.source(first) ?? first))
    }

    /// The offset in the target of the current position.
    var target: Int { targetStep * (chosen?.order[place] ?? place) }

    func group(from place: Int) -> Range<Int> {
      var end = place + 1
      guard let chosen else { return place..<end }
      let source = chosen.source(place)
      while end < range.upperBound, chosen.source(end) == source { end += 1 }
      return place..<end
    }
  }

  /// The bytes that are copied between two calls of `checkIn`; chosen, not tuned.
  private static let byteCountBetweenCheckIns = 64 << 20

  private let runByteCount: Int
  /// The target of the first run if all indices of the variable were 0.
  private let targetStart: Int
  private var axes: [Axis] = []
  private var sourceOffset: Int
  private var isFinished = false
  private var uncheckedByteCount = 0
  /// The bytes from the start of the first run on the last axis to the end of the last one.
  private let rowByteCount: Int

  /// Plans the copy; nil if the piece takes nothing from the box.
  ///
  /// The caller has checked that all lengths in bytes fit in an `Int`.
  ///
  /// - Parameters:
  ///   - shape: The shape of the piece.
  ///   - targetOffset: Where the piece begins in the target.
  ///   - form: How long elements are before and after.
  init?(
    from box: TensorSlice, _ order: GatherOrder, to shape: Shape, at targetOffset: Int,
    _ form: NumberForm
  ) {
    let rank = box.counts.count
    var chosen = [GatherOrder.Axis?](repeating: nil, count: rank)
    for axis in order.axes { chosen[axis.axis] = axis }
    let ranges = (0..<rank).map { axis in
      let range = box.starts[axis]..<box.starts[axis] + box.counts[axis]
      guard let chosen = chosen[axis] else { return range }
      return chosen.place(of: range.lowerBound)..<chosen.place(of: range.upperBound)
    }
    guard !ranges.contains(where: \.isEmpty) else { return nil }
    let lengths = Array(shape.lengths)
    let sourceSteps = Runs.steps(box.counts, width: form.width)
    let targetSteps = Runs.steps(lengths, width: form.targetWidth)
    // Axes that both arrays have whole merge into one run with the axis before them.
    var axis = rank
    var runByteCount = form.width
    while axis > 0, chosen[axis - 1] == nil {
      axis -= 1
      runByteCount = box.counts[axis] * sourceSteps[axis]
      if box.counts[axis] != lengths[axis] { break }
    }
    self.runByteCount = runByteCount
    var (source, target) = (0, targetOffset)
    for inner in axis..<rank { target += box.starts[inner] * targetSteps[inner] }
    for outer in 0..<axis {
      let walked = Axis(
        chosen[outer], ranges[outer], from: box.starts[outer], sourceStep: sourceSteps[outer],
        targetStep: targetSteps[outer])
      source += walked.source
      // An axis of one index needs no steps.
      if ranges[outer].count > 1 { axes.append(walked) } else { target += walked.target }
    }
    sourceOffset = source
    targetStart = target
    rowByteCount = (axes.last?.distance ?? 0) + runByteCount
  }

  /// Puts the wanted bytes of a chunk into the target.
  ///
  /// Chunks must come in order, without gaps, and begin at whole elements.
  ///
  /// One chunk may go to many places, so `checkIn` is called from time to time; what it throws is
  /// thrown.
  mutating func copy(
    _ chunk: RawSpan, at chunkOffset: Int, to target: inout MutableRawSpan, _ form: NumberForm,
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    let chunkEnd = chunkOffset + chunk.byteCount
    while !isFinished, sourceOffset < chunkEnd {
      if let last = axes.last, last.group.lowerBound == last.range.lowerBound,
        chunkOffset <= sourceOffset, rowByteCount <= chunkEnd - sourceOffset
      {
        try copyRow(last, chunk, sourceOffset - chunkOffset, to: &target, form, checkIn)
        continue
      }
      // A run that began in an earlier chunk continues at the start of this one.
      let skipped = max(0, chunkOffset - sourceOffset)
      let end = min(sourceOffset + runByteCount, chunkEnd)
      let count = end - sourceOffset - skipped
      for axis in axes.indices { axes[axis].place = axes[axis].group.lowerBound }
      repeat {
        let offset = axes.reduce(targetStart) { $0 + $1.target }
        form.put(
          chunk, from: sourceOffset + skipped - chunkOffset, to: &target,
          at: offset + form.targetByteCount(skipped), count: count)
        uncheckedByteCount += count
        if uncheckedByteCount >= GatheredRuns.byteCountBetweenCheckIns {
          uncheckedByteCount = 0
          try checkIn()
        }
      } while goOnInGroups(of: axes.count)
      guard end == sourceOffset + runByteCount else { return }
      advance()
    }
  }

  /// Copies all runs on the last axis at once, if the chunk has them: a row may have millions of
  /// runs.
  private mutating func copyRow(
    _ last: Axis, _ chunk: RawSpan, _ start: Int, to target: inout MutableRawSpan,
    _ form: NumberForm, _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    let outer = axes.count - 1
    for axis in 0..<outer { axes[axis].place = axes[axis].group.lowerBound }
    let first = last.chosen?.source(last.range.lowerBound) ?? last.range.lowerBound
    let order = last.chosen?.order.span
    let indices = last.chosen?.indices.span
    repeat {
      let base = axes[..<outer].reduce(targetStart) { $0 + $1.target }
      for place in last.range {
        let index = order?[place] ?? place
        let source = indices?[index] ?? place
        form.put(
          chunk, from: start + (source - first) * last.sourceStep, to: &target,
          at: base + index * last.targetStep, count: runByteCount)
        uncheckedByteCount += runByteCount
        if uncheckedByteCount >= GatheredRuns.byteCountBetweenCheckIns {
          uncheckedByteCount = 0
          try checkIn()
        }
      }
    } while goOnInGroups(of: outer)
    // Go to the last run, and past it.
    axes[outer].group = last.range.upperBound - 1..<last.range.upperBound
    sourceOffset += last.distance
    advance()
  }

  /// Goes to the next combination of positions on the first axes; false after the last one.
  private mutating func goOnInGroups(of count: Int) -> Bool {
    for axis in axes[..<count].indices.reversed() {
      axes[axis].place += 1
      if axes[axis].place < axes[axis].group.upperBound { return true }
      axes[axis].place = axes[axis].group.lowerBound
    }
    return false
  }

  private mutating func advance() {
    for axis in axes.indices.reversed() {
      let end = axes[axis].group.upperBound
      let isOver = end == axes[axis].range.upperBound
      sourceOffset -= axes[axis].source
      axes[axis].group = axes[axis].group(from: isOver ? axes[axis].range.lowerBound : end)
      sourceOffset += axes[axis].source
      if !isOver { return }
    }
    isFinished = true
  }
}
