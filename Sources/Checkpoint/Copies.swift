import WarmstartKernel
import WarmstartTensorModel

/// The bytes of a stored run that go to one piece, copied while the run streams past.
enum Copies {
  case box(Runs)
  case gathered(GatheredRuns)

  /// Copies the wanted bytes of a chunk.
  ///
  /// Chunks must come in order, without gaps.
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
