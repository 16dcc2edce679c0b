import TensorModel
import WarmstartClient

/// What `list --verify` finds: the daemon reads every tensor and compares its checksums.
///
/// Nothing is checked here: a tensor that can be resolved is one whose bytes are those that were saved.
struct Verification {
  /// At most so many tensors, of so many bytes, are asked for at once; chosen, not tuned.
  private static let batchCount = 256
  private static let batchByteCount = 64 << 20

  private let checkpoint: Checkpoint
  private let daemon: Daemon
  /// What is wrong, in the order of the tensors.
  private(set) var problems: [Problem] = []

  init(
    of tensors: [Checkpoint.StoredTensor], in checkpoint: Checkpoint, _ daemon: Daemon
  ) throws(Failure) {
    self.checkpoint = checkpoint
    self.daemon = daemon
    var start = 0
    while start < tensors.count {
      var (end, byteCount) = (start, 0)
      repeat {
        byteCount += min(tensors[end].byteCount, Verification.batchByteCount)
        end += 1
      } while end < tensors.count && end - start < Verification.batchCount
        && byteCount < Verification.batchByteCount
      try check(tensors[start..<end])
      start = end
    }
  }

  /// Asks for tensors; where one is refused, for each by itself.
  private mutating func check(_ tensors: ArraySlice<Checkpoint.StoredTensor>) throws(Failure) {
    do {
      try resolve(tensors)
    } catch {
      // What is no tensor's fault would be the same again.
      guard let problem = error.problems.first, problem.tensor != nil else { throw error }
      guard tensors.count > 1 else { return problems.append(problem) }
      for position in tensors.indices { try check(tensors[position...position]) }
    }
  }

  private func resolve(_ tensors: ArraySlice<Checkpoint.StoredTensor>) throws(Failure) {
    let variables = tensors.map { Variable($0.name, $0.dtype, $0.shape, isInStore: false) }
    let map = AssignmentMap(variables.map { .init($0.name, .variable($0.name)) })
    _ = try daemon.call { _, timeout throws(WarmstartError) in
      try checkpoint.resolve(map, variables, timeout: timeout)
    }
  }
}
