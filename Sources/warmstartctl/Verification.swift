import TensorModel
import WarmstartClient

/// What `list --verify` finds: the daemon reads every tensor and compares its checksums.
///
/// Nothing is checked here: a tensor that can be resolved is one whose bytes are those that were saved.
/// What the daemon makes on the way (of V1 checkpoints, slices, the other byte order) stays for who asks
/// next, and must fit its budget.
struct Verification {
  /// At most so many tensors, of so many bytes, are asked for at once; chosen, not tuned.
  private static let batchCount = 256
  private static let batchByteCount = 64 << 20

  private let checkpoint: Checkpoint
  private let daemon: Daemon
  /// What is wrong, in the order of the tensors, and last what ended the reading, if anything did.
  private(set) var problems: [Problem] = []
  /// The tensors that the daemon does not share, whose bytes nobody looked at.
  private(set) var unsupported: [Problem] = []

  init(
    of tensors: [Checkpoint.StoredTensor], in checkpoint: Checkpoint, _ daemon: Daemon
  ) throws(Failure) {
    self.checkpoint = checkpoint
    self.daemon = daemon
    do {
      try check(tensors)
    } catch {
      // What was found is not lost to what comes between.
      guard !problems.isEmpty else { throw error }
      problems += error.problems
    }
  }

  /// Asks for all tensors, in batches.
  private mutating func check(_ tensors: [Checkpoint.StoredTensor]) throws(Failure) {
    var start = 0
    while start < tensors.count {
      var (end, byteCount) = (start, 0)
      repeat {
        byteCount += min(tensors[end].byteCount, Verification.batchByteCount)
        end += 1
      } while end < tensors.count && end - start < Verification.batchCount
        && byteCount < Verification.batchByteCount
      try checkBatch(tensors[start..<end])
      start = end
    }
  }

  /// Asks for tensors; where one is refused, for each by itself.
  private mutating func checkBatch(_ tensors: ArraySlice<Checkpoint.StoredTensor>) throws(Failure) {
    do {
      try resolve(tensors)
    } catch {
      // What is no tensor's fault would be the same again.
      guard let problem = error.problems.first, problem.tensor != nil else { throw error }
      guard tensors.count == 1 else {
        for position in tensors.indices { try checkBatch(tensors[position...position]) }
        return
      }
      if problem.reason == .unsupported {
        unsupported.append(problem)
      } else {
        problems.append(problem)
      }
    }
  }

  private func resolve(_ tensors: ArraySlice<Checkpoint.StoredTensor>) throws(Failure) {
    let variables = tensors.map { Variable($0.name, $0.dtype, $0.shape, isInStore: false) }
    let map = AssignmentMap(variables.map { .init($0.name, .variable($0.name)) })
    var options = Resolved.Options()
    options.readAgain = true
    _ = try daemon.call { [options] _, timeout throws(WarmstartError) in
      try checkpoint.resolve(map, variables, options, timeout: timeout)
    }
  }
}
