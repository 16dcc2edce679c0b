import WarmstartKernel
import WarmstartTensorModel

/// The contiguous runs of bytes in which one box of a tensor is copied into another.
///
/// Both boxes are dense arrays in C order of their own; what they have in common is copied. The runs
/// come in ascending order of the source, so that a source can be streamed past once.
struct Runs {
  private let runByteCount: Int
  private let counts: [Int]
  private let sourceSteps: [Int]
  private let targetSteps: [Int]
  private var indices: [Int]
  private var sourceOffset: Int
  private var targetOffset: Int
  private var isFinished = false

  /// Plans to copy what the boxes of one tensor have in common; nil if that is nothing.
  ///
  /// `targetOffset` is where the target begins in the bytes that are copied to, `width` an
  /// element's size; sizes in bytes must have been proved to fit.
  init?(from source: TensorSlice, to target: TensorSlice, at targetOffset: Int, width: Int) {
    guard let common = source.intersection(target) else { return nil }
    let sourceSteps = Runs.steps(source.counts, width: width)
    let targetSteps = Runs.steps(target.counts, width: width)
    // Axes that all three have whole merge into one run with the axis before them.
    var axis = common.counts.count - 1
    while axis > 0, common.counts[axis] == source.counts[axis],
      common.counts[axis] == target.counts[axis]
    {
      axis -= 1
    }
    let outer = max(0, axis)
    runByteCount = axis < 0 ? width : common.counts[axis] * sourceSteps[axis]
    // There is nowhere to go on an axis of one index.
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

  /// Bytes from one index to the next on each axis of a dense array.
  static func steps(_ counts: [Int], width: Int) -> [Int] {
    var steps = counts
    var step = width
    for axis in counts.indices.reversed() {
      steps[axis] = step
      step *= counts[axis]
    }
    return steps
  }

  /// Copies what a chunk of the source holds of the runs; chunks must come in order, without gaps.
  mutating func copy(_ chunk: RawSpan, at chunkOffset: Int, to target: inout MutableRawSpan) {
    let chunkEnd = chunkOffset + chunk.byteCount
    while !isFinished, sourceOffset < chunkEnd {
      // A run that began in an earlier chunk goes on at the start of this one.
      let skipped = max(0, chunkOffset - sourceOffset)
      let end = min(sourceOffset + runByteCount, chunkEnd)
      target.copy(
        chunk, from: sourceOffset + skipped - chunkOffset, to: targetOffset + skipped,
        count: end - sourceOffset - skipped)
      guard end == sourceOffset + runByteCount else { return }
      advance()
    }
  }

  /// The next whole run: offsets in the source and in the target, and how long it is.
  mutating func next() -> (source: Int, target: Int, count: Int)? {
    guard !isFinished else { return nil }
    defer { advance() }
    return (sourceOffset, targetOffset, runByteCount)
  }

  private mutating func advance() {
    for axis in indices.indices.reversed() {
      indices[axis] += 1
      sourceOffset += sourceSteps[axis]
      targetOffset += targetSteps[axis]
      if indices[axis] < counts[axis] { return }
      sourceOffset -= counts[axis] * sourceSteps[axis]
      targetOffset -= counts[axis] * targetSteps[axis]
      indices[axis] = 0
    }
    isFinished = true
  }
}
