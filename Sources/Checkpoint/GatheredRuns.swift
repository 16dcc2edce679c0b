import WarmstartKernel
import WarmstartTensorModel

/// The variable's indices on the axes of a gather, sorted by the tensor's indices that they get.
///
/// Sorted once for a piece, however many stored runs it takes from.
struct GatherOrder {
  fileprivate struct Axis {
    let axis: Int
    /// The tensor's index for each of the variable's.
    let indices: [Int]
    /// The variable's indices that get something, by the tensor's.
    var order: [Int]

    /// The tensor's index at a place in the order.
    func source(_ place: Int) -> Int { indices[order[place]] }

    /// The first place of an index of the tensor that is at least as large.
    func place(of source: Int) -> Int {
      var range = order.indices
      while !range.isEmpty {
        let middle = range.lowerBound + range.count / 2
        range =
          self.source(middle) >= source
          ? range.lowerBound..<middle : middle + 1..<range.upperBound
      }
      return range.lowerBound
    }
  }

  fileprivate let axes: [Axis]

  init(_ gather: Gather) {
    axes = gather.axes.map { axis in
      let indices = axis.indices
      var order: [Int] = []
      order.reserveCapacity(indices.count)
      for index in indices.indices where indices[index] >= 0 { order.append(index) }
      order.sort { (indices[$0], $0) < (indices[$1], $1) }
      return Axis(axis: axis.axis, indices: indices, order: order)
    }
  }
}

/// The contiguous runs of bytes in which one box of a tensor is copied to the rows or columns of a
/// piece that get them, each maybe to several.
///
/// The box and the piece are dense arrays in C order. The runs come in ascending order of the source,
/// so that a source can be streamed past once; there are as many as are copied, whatever else the
/// lists have.
struct GatheredRuns {
  /// An axis on which there is more than one run.
  private struct Axis {
    let chosen: GatherOrder.Axis?
    /// Places in the order of what is chosen, or indices of the tensor.
    let range: Range<Int>
    /// The tensor's index where the source begins.
    let start: Int
    let sourceStep: Int
    let targetStep: Int
    /// The places that get the index that is copied just now.
    var group: Range<Int>
    /// That of them which gets it just now.
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

    /// The offset in the source of what is copied just now.
    var source: Int {
      sourceStep * ((chosen?.source(group.lowerBound) ?? group.lowerBound) - start)
    }

    /// The bytes of the source from the first index to the last one.
    var distance: Int {
      let (first, last) = (range.lowerBound, range.upperBound - 1)
      return sourceStep * ((chosen?.source(last) ?? last) - (chosen?.source(first) ?? first))
    }

    /// The offset in the target of the place that gets it.
    var target: Int { targetStep * (chosen?.order[place] ?? place) }

    func group(from place: Int) -> Range<Int> {
      var end = place + 1
      guard let chosen else { return place..<end }
      let source = chosen.source(place)
      while end < range.upperBound, chosen.source(end) == source { end += 1 }
      return place..<end
    }
  }

  /// What is copied between two questions whether anybody still waits; chosen, not tuned.
  private static let byteCountBetweenCheckIns = 64 << 20

  private let runByteCount: Int
  /// Where the first run would go if the variable's indices were 0 on all axes that are walked.
  private let targetStart: Int
  private var axes: [Axis] = []
  private var sourceOffset: Int
  private var isFinished = false
  private var uncheckedByteCount = 0
  /// From the first run on the last axis to the end of the last one there.
  private let rowByteCount: Int

  /// Plans to copy what the piece takes from the box; nil if that is nothing.
  ///
  /// `shape` is the piece's, `targetOffset` where it begins in the bytes that are copied to, `width`
  /// an element's size; sizes in bytes must have been proved to fit.
  init?(
    from box: TensorSlice, _ order: GatherOrder, to shape: Shape, at targetOffset: Int, width: Int
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
    let sourceSteps = Runs.steps(box.counts, width: width)
    let targetSteps = Runs.steps(lengths, width: width)
    // Axes that both have whole merge into one run with the axis before them.
    var axis = rank
    var runByteCount = width
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
      // There is nowhere to go on an axis of one index.
      if ranges[outer].count > 1 { axes.append(walked) } else { target += walked.target }
    }
    sourceOffset = source
    targetStart = target
    rowByteCount = (axes.last?.distance ?? 0) + runByteCount
  }

  /// Copies what a chunk of the source holds of the runs; chunks must come in order, without gaps.
  ///
  /// Throws what `checkIn` throws, which is asked now and then: one chunk may go to many places.
  mutating func copy(
    _ chunk: RawSpan, at chunkOffset: Int, to target: inout MutableRawSpan,
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    let chunkEnd = chunkOffset + chunk.byteCount
    while !isFinished, sourceOffset < chunkEnd {
      if let last = axes.last, last.group.lowerBound == last.range.lowerBound,
        chunkOffset <= sourceOffset, rowByteCount <= chunkEnd - sourceOffset
      {
        try copyRow(last, chunk, sourceOffset - chunkOffset, to: &target, checkIn)
        continue
      }
      // A run that began in an earlier chunk goes on at the start of this one.
      let skipped = max(0, chunkOffset - sourceOffset)
      let end = min(sourceOffset + runByteCount, chunkEnd)
      let count = end - sourceOffset - skipped
      for axis in axes.indices { axes[axis].place = axes[axis].group.lowerBound }
      repeat {
        let offset = axes.reduce(targetStart) { $0 + $1.target }
        target.copy(
          chunk, from: sourceOffset + skipped - chunkOffset, to: offset + skipped, count: count)
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

  /// Copies all runs on the last axis, which the chunk has: there may be millions of one element.
  private mutating func copyRow(
    _ last: Axis, _ chunk: RawSpan, _ start: Int, to target: inout MutableRawSpan,
    _ checkIn: () throws(Problem) -> Void
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
        target.copy(
          chunk, from: start + (source - first) * last.sourceStep,
          to: base + index * last.targetStep, count: runByteCount)
        uncheckedByteCount += runByteCount
        if uncheckedByteCount >= GatheredRuns.byteCountBetweenCheckIns {
          uncheckedByteCount = 0
          try checkIn()
        }
      }
    } while goOnInGroups(of: outer)
    // On to the last run, and past it.
    axes[outer].group = last.range.upperBound - 1..<last.range.upperBound
    sourceOffset += last.distance
    advance()
  }

  /// Goes on to the next place on the first axes that gets what is copied just now; false if that was
  /// the last one.
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

/// What of a stored run is copied to one piece, as the run streams past.
enum Copies {
  case box(Runs)
  case gathered(GatheredRuns)

  /// Copies what a chunk of the run has; chunks must come in order, without gaps.
  mutating func copy(
    _ chunk: RawSpan, at offset: Int, to arena: inout MutableRawSpan,
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    switch self {
    case .box(var runs):
      runs.copy(chunk, at: offset, to: &arena)
      self = .box(runs)
    case .gathered(var runs):
      try runs.copy(chunk, at: offset, to: &arena, checkIn)
      self = .gathered(runs)
    }
  }
}
