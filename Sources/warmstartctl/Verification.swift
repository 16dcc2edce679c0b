import WarmstartClient
import WarmstartTensorModel

/// What `list --verify` finds: the daemon reads all that is stored and compares its checksums.
///
/// Nothing is checked here: a tensor that can be resolved is one whose bytes are those that were saved.
/// A tensor that is stored in slices is asked for slice by slice, since it may lack some: TensorFlow
/// saves optimizers' slots so.
/// What the daemon makes on the way (of V1 checkpoints, slices, the other byte order) stays for who asks
/// next, and must fit its budget.
struct Verification {
  /// At most so many tensors, of so many bytes, are asked for at once; chosen, not tuned.
  private static let batchCount = 256
  private static let batchByteCount = 64 << 20

  private let checkpoint: Checkpoint
  private let daemon: Daemon
  /// What is wrong: first files that are missing, then the tensors in their order, and last what ended
  /// the reading, if anything did.
  private(set) var problems: [Problem] = []
  /// The tensors that the daemon does not share, whose bytes nobody looked at.
  private(set) var unsupported: [Problem] = []

  init(
    of tensors: [Checkpoint.StoredTensor], in checkpoint: Checkpoint, _ daemon: Daemon
  ) throws(Failure) {
    self.checkpoint = checkpoint
    self.daemon = daemon
    if let problem = checkpoint.missingTables { problems.append(problem) }
    do {
      try check(tensors)
    } catch {
      // What was found is not lost to what comes between.
      guard !problems.isEmpty else { throw error }
      problems += error.problems
    }
  }

  /// Asks for all that is stored, in batches: for several whole tensors, or slices of one tensor.
  private mutating func check(_ tensors: [Checkpoint.StoredTensor]) throws(Failure) {
    var whole: [Part] = []
    for tensor in tensors {
      // Slices that do not lie in the tensor make the daemon refuse all of it.
      if tensor.slices.isEmpty || !tensor.slices.allSatisfy({ $0.fits(tensor.shape) }) {
        whole.append(Part(tensor, nil))
      } else {
        try checkBatches(whole)
        whole = []
        // A slice without elements has no bytes, and cannot be asked for.
        let slices = tensor.slices.filter { $0.counts.allSatisfy { $0 > 0 } }
        try checkBatches(slices.map { Part(tensor, $0) })
      }
    }
    try checkBatches(whole)
  }

  private mutating func checkBatches(_ parts: [Part]) throws(Failure) {
    var start = 0
    while start < parts.count {
      var (end, byteCount) = (start, 0)
      repeat {
        byteCount += min(parts[end].byteCount, Verification.batchByteCount)
        end += 1
      } while end < parts.count && end - start < Verification.batchCount
        && byteCount < Verification.batchByteCount
      try checkBatch(parts[start..<end])
      start = end
    }
  }

  /// Asks for a batch; where it is refused, for each part by itself.
  private mutating func checkBatch(_ parts: ArraySlice<Part>) throws(Failure) {
    do {
      try resolve(parts)
    } catch {
      // What is no tensor's fault would be the same again.
      guard let problem = error.problems.first, problem.tensor != nil else { throw error }
      guard parts.count == 1 else {
        for position in parts.indices { try checkBatch(parts[position...position]) }
        return
      }
      if problem.reason == .unsupported {
        unsupported.appendUnlessLast(problem)
      } else {
        problems.appendUnlessLast(problem)
      }
    }
  }

  private func resolve(_ parts: ArraySlice<Part>) throws(Failure) {
    let variables = parts.enumerated().map { number, part in
      // One that is alone is called as its tensor, so that a message has no name of our making.
      part.variable(parts.count == 1 || part.slice == nil ? nil : number)
    }
    let map: AssignmentMap
    if let tensor = parts.first, tensor.slice != nil {
      map = AssignmentMap([.init(tensor.tensor.name, .variables(variables.map(\.name)))])
    } else {
      map = AssignmentMap(variables.map { .init($0.name, .variable($0.name)) })
    }
    var options = Resolved.Options()
    options.readAgain = true
    _ = try daemon.call { [options] _, timeout throws(WarmstartError) in
      try checkpoint.resolve(assigning: map, to: variables, options: options, timeout: timeout)
    }
  }
}

/// A tensor that is stored whole, or one stored slice of a tensor.
private struct Part {
  let tensor: Checkpoint.StoredTensor
  let slice: TensorSlice?

  init(_ tensor: Checkpoint.StoredTensor, _ slice: TensorSlice?) {
    self.tensor = tensor
    self.slice = slice
  }

  /// The bytes as stored; of strings in slices, the bytes of all slices.
  var byteCount: Int {
    guard let slice, let width = tensor.dtype.byteCount else { return tensor.byteCount }
    return slice.shape.byteCount(ofWidth: width) ?? tensor.byteCount
  }

  /// The variable that has just these elements: a partition of the tensor if they are a slice.
  func variable(_ number: Int?) -> Variable {
    guard let slice else {
      return Variable(tensor.name, dtype: tensor.dtype, shape: tensor.shape, isInStore: false)
    }
    let name = number.map { Name(tensor.name.bytes + Array("/part_\($0)".utf8)) } ?? tensor.name
    let partition = Partition(of: tensor.name, fullShape: tensor.shape, offset: slice.starts)
    return Variable(
      name, dtype: tensor.dtype, shape: slice.shape, partition: partition, isInStore: false)
  }
}

extension [Problem] {
  /// Adds a problem, but not twice in a row: one that is about a tensor is found with each slice.
  fileprivate mutating func appendUnlessLast(_ problem: Problem) {
    if last != problem { append(problem) }
  }
}
