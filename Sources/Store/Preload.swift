package import WarmstartCheckpoint
package import WarmstartTensorModel

/// Reads everything that a checkpoint stores, before jobs ask for it.
///
/// The preload reads the stored runs in the order of the disk, in batches. Tensors that a file
/// cannot serve as the options ask become pieces of arenas. A damaged tensor does not keep the
/// others from being read: the preload collects the problems.
package struct Preload {
  /// The most runs, and the most bytes of them, in one batch; chosen, not tuned.
  private static let batchCount = 256
  private static let batchByteCount = 64 << 20
  private let lease: Lease
  private let files: FileSet
  private let caller: Caller
  private let options: PlacementOptions
  /// Whether to read the bytes again, even if they were verified before, and to make no arena.
  private let readsAgain: Bool
  private let note: (_ readyByteCount: Int, _ totalByteCount: Int) -> Void

  private var damaged = FirstProblems()
  private var unsharedTensors = FirstProblems()
  /// Whether each tensor was not read, or has damaged bytes.
  private var isFaulty: [Bool] = []
  private var faultyCount = 0
  private var readyByteCount = 0
  private var totalByteCount = 0
  /// The arenas that were made, which must not give way to each other.
  private var made: [UInt64] = []

  /// Prepares to read through a call's own files.
  ///
  /// - Parameter note: Called repeatedly, with the stored bytes that are ready and those of all.
  package init(
    _ lease: Lease, _ files: FileSet, _ options: PlacementOptions, readsAgain: Bool,
    for caller: Caller, note: @escaping (_ readyByteCount: Int, _ totalByteCount: Int) -> Void
  ) {
    self.lease = lease
    self.files = files
    self.options = options
    self.readsAgain = readsAgain
    self.caller = caller
    // A batch that fails is read again, run by run: what is ready never becomes less.
    var highest = 0
    self.note = { ready, total in
      highest = max(highest, ready)
      note(highest, total)
    }
  }

  private var checkpoint: Checkpoint { lease.resident.checkpoint }

  /// What is wrong with tensors: the first problems.
  package var problems: [Problem] { damaged.kept }
  package var problemCount: Int { damaged.count }
  /// Tensors that cannot be shared and were not read: the first ones.
  package var unshared: [Problem] { unsharedTensors.kept }
  /// How many tensors are ready.
  package var tensorCount: Int { checkpoint.catalog.count - faultyCount }
  /// The stored bytes of the tensors that are ready.
  package var byteCount: Int { readyByteCount }

  /// Reads everything.
  ///
  /// - Throws: A problem that is no tensor's own, such as a lack of memory or a deadline. What was
  ///   read until then stays.
  package mutating func run() throws(Problem) {
    // Many calls can wait at once, each with its lists.
    let charge = try lease.store.charge(
      Amounts(memory: listByteCount), to: lease.tab, for: "a list of what to read")
    defer { lease.resident.pieces.unpin(made) }
    isFaulty = Array(repeating: false, count: checkpoint.catalog.count)
    let parts = try self.parts()
    totalByteCount = byteCount(of: parts[...])
    note(0, totalByteCount)
    var start = 0
    while start < parts.count {
      try caller.checkIn()
      let end = self.end(of: parts, from: start)
      try load(parts[start..<end])
      start = end
    }
    _ = consume charge
  }

  /// The most bytes that the lists of runs and problems take, approximately.
  private var listByteCount: Int {
    let names = checkpoint.memoryByteCount
    // Half of the runs again, to sort them. A problem has a tensor's name twice.
    return checkpoint.stored.count * MemoryLayout<Part>.stride * 3 / 2 + checkpoint.catalog.count
      + 2 * min(FirstProblems.maximumByteCount, names + 512 * checkpoint.catalog.count)
  }

  /// A stored run to read.
  private struct Part {
    let tensor: Int
    let run: Int
  }

  /// The runs of all tensors in the order of the disk.
  private mutating func parts() throws(Problem) -> [Part] {
    var parts: [Part] = []
    parts.reserveCapacity(checkpoint.stored.count)
    for tensor in 0..<checkpoint.catalog.count {
      let slices = checkpoint.catalog.slices(tensor)
      if !slices.isEmpty || tensor % Preload.batchCount == 0 { try caller.checkIn() }
      if let problem = checkpoint.catalog.problem(ofSlices: tensor)
        ?? checkpoint.catalog.problem(ofListed: tensor)
      {
        note(problem, of: tensor)
        continue
      }
      for (position, run) in checkpoint.storedRange(tensor).enumerated() {
        // A slice without elements has no bytes.
        if !slices.isEmpty, slices[position].counts.contains(0) { continue }
        parts.append(Part(tensor: tensor, run: run))
      }
    }
    parts.sort { first, second in
      let (left, right) = (checkpoint.stored[first.run], checkpoint.stored[second.run])
      return (left.shard, left.offset, first.run) < (right.shard, right.offset, second.run)
    }
    return parts
  }

  private func end(of parts: [Part], from start: Int) -> Int {
    var end = start
    var byteCount = 0
    repeat {
      byteCount += min(Preload.batchByteCount, max(0, checkpoint.stored[parts[end].run].byteCount))
      end += 1
    } while end < parts.count && end - start < Preload.batchCount
      && byteCount < Preload.batchByteCount
    return end
  }

  private func byteCount(of parts: ArraySlice<Part>) -> Int {
    parts.reduce(0) { sum, part in
      Pieces.Needed.sum(sum, max(0, checkpoint.stored[part.run].byteCount))
    }
  }

  /// Reads a batch; if a tensor in it is faulty, reads each part separately.
  private mutating func load(_ batch: ArraySlice<Part>) throws(Problem) {
    do throws(Problem) {
      try loadAll(batch)
    } catch {
      guard error.tensor != nil else { throw error }
      guard batch.count == 1, let part = batch.first else {
        for position in batch.indices { try load(batch[position...position]) }
        return
      }
      return note(error, of: part.tensor)
    }
    readyByteCount = Pieces.Needed.sum(readyByteCount, byteCount(of: batch))
    note(readyByteCount, totalByteCount)
  }

  private mutating func loadAll(_ batch: ArraySlice<Part>) throws(Problem) {
    var runs: [Resident.Run] = []
    var pieces: [Piece] = []
    for part in batch {
      let slices = checkpoint.catalog.slices(part.tensor)
      let first = checkpoint.storedRange(part.tensor).lowerBound
      let slice = slices.isEmpty ? nil : slices[part.run - first]
      let placement = try checkpoint.placement(of: part.tensor, slice, options, in: files)
      if case .piece(let piece) = placement, !readsAgain {
        pieces.append(piece)
      } else {
        runs.append(Resident.Run(position: part.run, tensor: part.tensor))
      }
    }
    let (ready, total, note) = (readyByteCount, totalByteCount, note)
    guard readsAgain else {
      _ = try lease.acquire(
        runs: runs, pieces: pieces, from: files, for: caller, making: &made
      ) { batchByteCount, _ in note(min(total, ready + batchByteCount), total) }
      return
    }
    var read = 0
    try lease.verifyAgain(runs, from: files, for: caller) { byteCount in
      read += byteCount
      note(min(total, ready + read), total)
    }
  }

  private mutating func note(_ problem: Problem, of tensor: Int) {
    // A tensor's problem may come again with each of its slices.
    guard !isFaulty[tensor] else { return }
    isFaulty[tensor] = true
    faultyCount += 1
    if problem.reason == .unsupported {
      unsharedTensors.add(problem)
    } else {
      damaged.add(problem)
    }
  }
}

/// The first problems of a kind, as many as a reply can have; the others are only counted.
///
/// Their names come from files, and are as long as these say.
private struct FirstProblems {
  static let maximumByteCount = 512 << 10
  private static let maximumCount = 1000

  private(set) var kept: [Problem] = []
  private(set) var count = 0
  private var byteCount = 0

  mutating func add(_ problem: Problem) {
    count += 1
    byteCount += (problem.tensor?.bytes.count ?? 0) + problem.message.utf8.count
    // The first one is always kept: it describes the failure.
    if kept.isEmpty || kept.count < Self.maximumCount && byteCount <= Self.maximumByteCount {
      kept.append(problem)
    }
  }
}
