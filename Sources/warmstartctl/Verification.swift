import WarmstartClient
import WarmstartTensorModel

/// The findings of `list --verify`: the daemon reads every stored byte and compares checksums.
///
/// The command itself checks nothing: it resolves each tensor, and the daemon refuses a tensor
/// whose bytes differ from those that were saved. A tensor that is stored in slices is resolved
/// slice by slice, because some may be missing: TensorFlow saves optimizers' slots that way. What
/// the daemon makes meanwhile (from V1 checkpoints, slices, the other byte order) must fit its
/// budget, and stays for later requests.
struct Verification {
  /// The most tensors, and the most bytes of them, in one request; chosen, not tuned.
  private static let batchCount = 256
  private static let batchByteCount = 64 << 20

  private let checkpoint: Checkpoint
  private let daemon: Daemon
  /// The problems: missing files first, then the tensors in their order, and last the error that
  /// ended the reading, if any.
  private(set) var problems: [Problem] = []
  /// The tensors that the daemon does not share, whose bytes were not read.
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
      // An error in between must not hide the problems found so far.
      guard !problems.isEmpty else { throw error }
      problems += error.problems
    }
  }

  /// Resolves everything stored, in batches of whole tensors, or of slices of one tensor.
  private mutating func check(_ tensors: [Checkpoint.StoredTensor]) throws(Failure) {
    var whole: [Part] = []
    for tensor in tensors {
      // If a slice lies outside of its tensor, the daemon refuses the whole tensor.
      if tensor.slices.isEmpty || !tensor.slices.allSatisfy({ $0.fits(tensor.shape) }) {
        whole.append(Part(tensor, nil))
      } else {
        try checkBatches(whole)
        whole = []
        // A slice without elements has no bytes, and cannot be resolved.
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

  /// Resolves a batch; if the daemon refuses it, resolves each part separately.
  private mutating func checkBatch(_ parts: ArraySlice<Part>) throws(Failure) {
    do {
      try resolve(parts)
    } catch {
      // An error that names no tensor would come again with each part.
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
      // A single part has its tensor's name, so that no message shows an invented name.
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

  /// The stored bytes; for a slice of strings, the bytes of all slices.
  var byteCount: Int {
    guard let slice, let width = tensor.dtype.byteCount else { return tensor.byteCount }
    return slice.shape.byteCount(ofWidth: width) ?? tensor.byteCount
  }

  /// Returns the variable with exactly these elements: a partition of the tensor for a slice.
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
  /// Adds a problem unless it is the last one: a tensor's problem is found with each of its slices.
  fileprivate mutating func appendUnlessLast(_ problem: Problem) {
    if last != problem { append(problem) }
  }
}
