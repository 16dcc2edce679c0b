package import Checkpoint
package import Kernel
import SystemPackage
package import TensorModel

/// A checkpoint that is held: its parsed index, what of it was verified, and the pieces made of it.
///
/// Shared by all leases of the generation. What one call needs and nobody has, that call's thread
/// makes; others that need the same wait for it.
package final class Resident: Sendable {
  /// A stored run of a tensor, by their positions in the checkpoint.
  package struct Run: Sendable {
    package let position: Int
    package let tensor: Int

    package init(position: Int, tensor: Int) {
      self.position = position
      self.tensor = tensor
    }
  }

  private enum PieceState {
    case making(Flight)
    case made(PiecePlace)
  }

  private struct State {
    var isVerified: [Bool]
    var verifying: [Int: Flight] = [:]
    var pieces: [Piece: PieceState] = [:]
    var verifiedByteCount = 0
    var arenaCount = 0
    var arenaByteCount = 0

    mutating func endVerifying(_ runs: [Run]) {
      for run in runs { verifying[run.position] = nil }
      // An emptied dictionary keeps its room, which for 100,000 runs is more than the index file.
      if verifying.isEmpty { verifying = [:] }
    }
  }

  package let generation: Generation
  package let checkpoint: Checkpoint
  /// What the first client that opened it called it; a path, so for its own user's eyes.
  package let label: String
  /// The user of the client that opened it first.
  package let openedBy: UInt32
  /// Keeps the inode from being given to another file; read through by nobody.
  let index: File
  private let charge: Charge
  private let answers = Answers()
  // Invariant: reading as long as the flight has not ended.
  let objects = Monitor(Objects.State.unread)
  // Invariant: a run that is verified is not being verified; a piece is absent, being made by one
  // flight that has not ended, or made.
  private let state: Monitor<State>

  init(
    _ checkpoint: Checkpoint, _ files: FileSet, label: String, _ charge: consuming Charge
  ) {
    openedBy = files.openedBy
    generation = files.generation
    self.checkpoint = checkpoint
    self.label = label
    index = files.index.file
    self.charge = charge
    state = Monitor(State(isVerified: Array(repeating: false, count: checkpoint.stored.count)))
  }

  /// Makes sure that all stored runs are verified and all pieces made; waits for what others make.
  ///
  /// Returns where the pieces are, in their order, once everything is there. Throws the first problem.
  package func acquire(
    runs: [Run], pieces: [Piece], from files: FileSet, for caller: Caller, in store: Store
  ) throws(Problem) -> [PiecePlace] {
    while true {
      // Mostly somebody was here before, and all that is left to do is to look.
      if let places = held(runs: runs, pieces: pieces) { return places }
      let claim = claim(runs: runs, pieces: pieces)
      if !claim.isEmpty {
        do {
          try load(claim, from: files, for: caller, in: store)
        } catch {
          abandon(claim)
          throw error
        }
      }
      for flight in claim.others {
        store.count { $0.awaitedLoads += 1 }
        try caller.wait(for: flight)
      }
    }
  }

  // MARK: Answers

  /// Finds the answer that somebody got to the same question; all that it names is there.
  package func answer(to question: ArraySlice<UInt8>, in store: Store) -> Answer? {
    guard let answer = answers.find(question) else { return nil }
    store.count { $0.repeatedAnswers += 1 }
    return answer
  }

  /// Remembers an answer whose regions are acquired.
  package func remember(
    _ question: ArraySlice<UInt8>, _ regions: [Answer.Region], _ replies: [Answer.Reply],
    in store: Store
  ) {
    answers.remember(question, regions, replies, store.budget)
  }

  // MARK: Claims

  private struct Claim {
    let flight = Flight()
    var runs: [Run] = []
    var pieces: [Piece] = []
    var others: [Flight] = []

    var isEmpty: Bool { runs.isEmpty && pieces.isEmpty }
    var loadedRuns: [(run: Int, tensor: Int)] { runs.map { ($0.position, $0.tensor) } }
  }

  /// Where the pieces are, if they are made and the runs verified; nil if anything is missing.
  private func held(runs: [Run], pieces: [Piece]) -> [PiecePlace]? {
    state.withLock { state in
      for run in runs where !state.isVerified[run.position] { return nil }
      var places: [PiecePlace] = []
      places.reserveCapacity(pieces.count)
      for piece in pieces {
        guard case .made(let place) = state.pieces[piece] else { return nil }
        places.append(place)
      }
      return places
    }
  }

  private func claim(runs: [Run], pieces: [Piece]) -> Claim {
    state.withLock { state in
      var claim = Claim()
      for run in runs where !state.isVerified[run.position] {
        if let flight = state.verifying[run.position] {
          if flight !== claim.flight { claim.others.append(flight) }
        } else {
          state.verifying[run.position] = claim.flight
          claim.runs.append(run)
        }
      }
      for piece in pieces {
        switch state.pieces[piece] {
        case .made: continue
        case .making(let flight):
          if flight !== claim.flight { claim.others.append(flight) }
        case nil:
          state.pieces[piece] = .making(claim.flight)
          claim.pieces.append(piece)
        }
      }
      return claim
    }
  }

  private func abandon(_ claim: Claim) {
    state.withLock { state in
      state.endVerifying(claim.runs)
      for piece in claim.pieces { state.pieces[piece] = nil }
    }
    claim.flight.end()
  }

  private func complete(_ claim: Claim, _ places: [Piece: PiecePlace], arenaByteCount: Int) {
    // Before the lock, which everybody who wants a report waits for: slices may be many.
    let filled = places.keys.map { checkpoint.runs(of: $0.tensor, $0.slice) }
    state.withLock { state in
      state.endVerifying(claim.runs)
      for run in claim.runs {
        state.isVerified[run.position] = true
        state.verifiedByteCount += checkpoint.stored[run.position].byteCount
      }
      for (piece, place) in places { state.pieces[piece] = .made(place) }
      // Filling a piece compares the checksums of all runs that it takes bytes from.
      for run in filled.joined() where state.verifying[run] == nil && !state.isVerified[run] {
        state.isVerified[run] = true
        state.verifiedByteCount += checkpoint.stored[run].byteCount
      }
      if !places.isEmpty { state.arenaCount += 1 }
      state.arenaByteCount += arenaByteCount
    }
    claim.flight.end()
  }

  // MARK: Loading

  private func load(
    _ claim: Claim, from files: FileSet, for caller: Caller, in store: Store
  ) throws(Problem) {
    store.count { $0.loads += 1 }
    let loaded = store.warmFileByteCount
    let (warm, overflow) = loaded.addingReportingOverflow(
      checkpoint.byteCount(toRead: claim.runs.map(\.position), claim.pieces))
    let keepsCached = !overflow && warm <= store.warmFileLimit
    var loading = Loading(checkpoint, files, keepsCached: keepsCached) { () throws(Problem) in
      // The work goes on for others even if the one who began it has gone.
      if !claim.flight.isAwaited { try caller.checkIn() }
    }
    guard !claim.pieces.isEmpty else {
      var none = MutableRawSpan()
      try loading.load(verifying: claim.loadedRuns, filling: [], of: &none)
      complete(claim, [:], arenaByteCount: 0)
      store.count { $0.verifiedRuns += claim.runs.count }
      return
    }
    // Held until the arena is filled with them.
    let decoding = try store.charge(
      loading.decodingByteCount(of: claim.pieces), for: "decoding")
    let targets = try layOut(claim.pieces, &loading)
    let byteCount = max(1, targets.last.map { $0.offset + $0.byteCount } ?? 0)
    // Pieces are remembered as long as the arena, by slices that may have many axes.
    let keys = claim.pieces.reduce(0) { $0 + 200 + 16 * ($1.slice?.starts.count ?? 0) }
    let (charged, isTooMuch) = byteCount.addingReportingOverflow(keys)
    let charge = try store.charge(isTooMuch ? .max : charged, for: "an arena")
    let arena = try makeArena(byteCount) { bytes throws(Problem) in
      try loading.load(verifying: claim.loadedRuns, filling: targets, of: &bytes)
    }
    _ = consume decoding
    let holder = ArenaHolder(id: store.nextArenaID(), arena, charge)
    var places: [Piece: PiecePlace] = [:]
    for target in targets {
      places[target.piece] = PiecePlace(
        arena: holder, offset: target.offset, byteCount: target.byteCount)
    }
    complete(claim, places, arenaByteCount: byteCount)
    store.count {
      $0.verifiedRuns += claim.runs.count
      $0.arenas += 1
      $0.pieces += targets.count
    }
  }

  private func makeArena(
    _ byteCount: Int, _ fill: (inout MutableRawSpan) throws(Problem) -> Void
  ) throws(Problem) -> SealedArena {
    func refused(_ error: Errno) -> Problem {
      Problem(
        error == .tooManyOpenFiles ? .quota : .budget,
        "no arena of \(byteCount) bytes can be made: \(error)")
    }
    var arena: Arena
    do { arena = try Arena(named: "warmstart:\(generation)", byteCount: byteCount) } catch {
      throw refused(error)
    }
    var bytes = arena.bytes
    try fill(&bytes)
    do { return try arena.seal() } catch { throw refused(error) }
  }

  private func layOut(
    _ pieces: [Piece], _ loading: inout Loading
  ) throws(Problem) -> [Loading.Target] {
    try loading.readStrings(of: pieces)
    var targets: [Loading.Target] = []
    var end = 0
    for piece in pieces {
      let count = try loading.byteCount(of: piece)
      let (padded, overflow) = end.addingReportingOverflow(piece.alignment - 1)
      let offset = padded & ~(piece.alignment - 1)
      let (next, overflows) = offset.addingReportingOverflow(count)
      guard !overflow, !overflows else {
        throw Problem(.budget, "the pieces of one arena add up to more than 2^63 bytes")
      }
      targets.append(Loading.Target(piece: piece, offset: offset, byteCount: count))
      end = next
    }
    return targets
  }

  // MARK: Reports

  /// What the resident holds now.
  package struct Holdings: Sendable {
    package var verifiedByteCount: Int
    package var arenaCount: Int
    package var arenaByteCount: Int
  }

  package var holdings: Holdings {
    state.withLock {
      Holdings(
        verifiedByteCount: $0.verifiedByteCount, arenaCount: $0.arenaCount,
        arenaByteCount: $0.arenaByteCount)
    }
  }

  /// Whether the index has lost its last name: it must not be held longer than somebody uses it.
  func isDeleted() -> Bool {
    // A file that cannot be examined any more is as good as deleted.
    ((try? index.status())?.linkCount ?? 0) == 0
  }
}

extension Checkpoint {
  /// The bytes of runs, and of those that pieces are made of.
  fileprivate func byteCount(toRead runs: [Int], _ pieces: [Piece]) -> Int {
    let all = pieces.reduce(into: runs) { $0 += self.runs(of: $1.tensor, $1.slice) }
    return all.reduce(0) { sum, run in
      let (next, overflow) = sum.addingReportingOverflow(max(0, stored[run].byteCount))
      return overflow ? .max : next
    }
  }
}

/// Where a piece is.
package struct PiecePlace: Sendable {
  package let arena: ArenaHolder
  package let offset: Int
  package let byteCount: Int
}

/// A sealed arena, what it is charged, and its number.
package final class ArenaHolder: Sendable {
  /// Unique in the daemon's life; from 1.
  package let id: UInt64
  package let arena: SealedArena
  private let charge: Charge

  init(id: UInt64, _ arena: SealedArena, _ charge: consuming Charge) {
    self.id = id
    self.arena = arena
    self.charge = charge
  }
}
