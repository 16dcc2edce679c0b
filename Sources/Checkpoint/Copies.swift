import WarmstartKernel
import WarmstartTensorModel

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
