import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// Where a piece lies.
package struct PiecePlace: Sendable {
  package let arena: ArenaHolder
  package let offset: Int
  package let byteCount: Int
}

/// The verified runs of a checkpoint, and the pieces that were made from it.
///
/// The first call that needs a missing run or piece claims it, and loads it on its own thread;
/// later calls wait.
final class Pieces: Sendable {
  /// What one call loads at once: a part of what it needs, so that other calls need not wait for
  /// all.
  struct Claim {
    let flight = Flight()
    var runs: [Resident.Run] = []
    var pieces: [Piece] = []
    /// The flights of the calls that load the rest of what was asked for.
    var others: [Flight] = []

    var isEmpty: Bool { runs.isEmpty && pieces.isEmpty }
  }

  private enum PieceState {
    case making(Flight)
    case made(PiecePlace)
  }

  /// An arena that pieces are in.
  private struct ArenaState {
    let holder: ArenaHolder
    /// The bytes of the lists of indices of its pieces.
    let listByteCount: Int
    var pieceCount: Int
    /// How many calls made it and are still waiting for other pieces.
    var pinCount: Int
  }

  private struct State {
    var isVerified: [Bool]
    var verifying: [Int: Flight] = [:]
    var pieces: [Piece: PieceState] = [:]
    var arenas: [UInt64: ArenaState] = [:]
    var fileUse: FileUse
    /// The bytes of the runs that were left in the page cache, and how many the last look missed.
    var keptByteCount = 0
    var missedByteCount = 0
    var holdings = Figures.Holdings()

    mutating func endVerifying(_ runs: [Resident.Run]) {
      for run in runs { verifying[run.position] = nil }
      // An emptied dictionary keeps its room, which for 100,000 runs is more than the index file.
      if verifying.isEmpty { verifying = [:] }
    }
  }

  /// A claim has at least this many bytes, or a sixteenth of what is missing; chosen, not tuned.
  private static let claimByteCount = 64 << 20
  /// Runs and pieces up to this size are claimed before larger ones, unless files are read in
  /// order.
  private static let smallByteCount = 1 << 20

  private let checkpoint: Checkpoint
  /// Whether the checkpoint's files are read from start to end.
  private let isReadInOrder: Bool
  private let figures: Figures
  // Invariant: a run that is verified is not being verified; a piece is absent, being made by one
  // flight that has not ended, or made; an arena has as many pieces as are made in it, at least
  // one.
  private let state: Monitor<State>

  init(of checkpoint: Checkpoint, isReadInOrder: Bool, _ figures: Figures) {
    self.checkpoint = checkpoint
    self.isReadInOrder = isReadInOrder
    self.figures = figures
    let count = checkpoint.stored.count
    state = Monitor(
      State(
        isVerified: Array(repeating: false, count: count), fileUse: FileUse(runCount: count)))
  }

  deinit {
    figures.subtract(holdings)
  }

  var holdings: Figures.Holdings { state.withLock { $0.holdings } }

  // MARK: Claims

  /// Where the pieces are, if they are made and the runs verified; nil if anything is missing.
  func find(runs: [Resident.Run], pieces: [Piece]) -> [PiecePlace]? {
    state.withLock { state in
      for run in runs {
        guard state.isVerified[run.position] else { return nil }
        state.fileUse.share(run.position)
        // The client's first touch brings it back.
        keep(run.position, true, in: &state)
      }
      var places: [PiecePlace] = []
      places.reserveCapacity(pieces.count)
      for piece in pieces {
        guard case .made(let place) = state.pieces[piece] else { return nil }
        places.append(place)
      }
      return places
    }
  }

  /// The needed bytes that a flight is loading, or, without a flight, the bytes that are ready.
  func byteCount(of needed: Needed, on flight: Flight?) -> Int {
    state.withLock { state in
      var sum = 0
      for (run, byteCount) in needed.runs {
        let counts =
          flight == nil
          ? state.isVerified[run.position] : state.verifying[run.position] === flight
        if counts { sum = Needed.sum(sum, byteCount) }
      }
      for (piece, byteCount) in needed.pieces {
        let counts =
          switch state.pieces[piece] {
          case .made: flight == nil
          case .making(let other): other === flight
          case nil: false
          }
        if counts { sum = Needed.sum(sum, byteCount) }
      }
      return sum
    }
  }

  /// Claims what is missing and unclaimed: all of it, or the next part if it is much.
  func claim(runs: [Resident.Run], pieces: [Piece]) -> Claim {
    // Before the lock, since pieces may have many slices and status reports wait for the lock.
    let sizes = pieces.map { checkpoint.byteCount(toMake: $0) }
    return state.withLock { state in
      var claim = Claim()
      var missing: [(position: Int, isPiece: Bool, byteCount: Int)] = []
      for (index, run) in runs.enumerated() where !state.isVerified[run.position] {
        if let flight = state.verifying[run.position] {
          claim.others.append(flight)
        } else {
          missing.append((index, false, checkpoint.stored[run.position].byteCount))
        }
      }
      for (index, piece) in pieces.enumerated() {
        switch state.pieces[piece] {
        case .made: continue
        case .making(let flight): claim.others.append(flight)
        case nil: missing.append((index, true, sizes[index]))
        }
      }
      for next in nextOf(missing) {
        if next.isPiece {
          let piece = pieces[next.position]
          // A call may need one twice.
          guard state.pieces[piece] == nil else { continue }
          state.pieces[piece] = .making(claim.flight)
          claim.pieces.append(piece)
        } else {
          let run = runs[next.position]
          guard state.verifying[run.position] == nil else { continue }
          state.verifying[run.position] = claim.flight
          state.fileUse.share(run.position)
          claim.runs.append(run)
        }
      }
      return claim
    }
  }

  private func nextOf(
    _ missing: [(position: Int, isPiece: Bool, byteCount: Int)]
  ) -> [(position: Int, isPiece: Bool, byteCount: Int)] {
    // Not in one arena with large ones: a user who is granted a small piece may have to pay for it
    // all. A mount of an object store may fetch what is skipped as well, and then fetches it again.
    let small = isReadInOrder ? [] : missing.filter { $0.byteCount <= Pieces.smallByteCount }
    let candidates = small.isEmpty ? missing : small
    let total = candidates.reduce(0) { sum, next in
      let (sum, overflow) = sum.addingReportingOverflow(max(0, next.byteCount))
      return overflow ? .max : sum
    }
    guard total > Pieces.claimByteCount else { return candidates }
    let limit = max(Pieces.claimByteCount, total / 16)
    var sum = 0
    var count = 0
    for next in candidates {
      guard count == 0 || next.byteCount <= limit - sum else { break }
      let (next, overflow) = sum.addingReportingOverflow(max(0, next.byteCount))
      count += 1
      if overflow { break }
      sum = next
    }
    return Array(candidates.prefix(count))
  }

  /// Gives up a claim; the calls that wait for it look again.
  func abandon(_ claim: Claim) {
    state.withLock { state in
      state.endVerifying(claim.runs)
      for piece in claim.pieces {
        guard case .making(let flight) = state.pieces[piece], flight === claim.flight else {
          continue
        }
        state.pieces[piece] = nil
      }
    }
    claim.flight.end()
  }

  /// Keeps what was loaded for a claim; a new arena stays until it is unpinned.
  ///
  /// - Parameters:
  ///   - places: The pieces in the new arena, some of which may come from smaller arenas.
  ///   - keepsCached: Whether the runs were left in the page cache.
  /// - Returns: The arenas that have no piece any more.
  func complete(
    _ claim: Claim, _ places: [Piece: PiecePlace], in arena: ArenaHolder?, keepsCached: Bool
  ) -> Set<UInt64> {
    // Before the lock, as above.
    let filled = claim.pieces.map { checkpoint.runs(of: $0) }
    let left = state.withLock { state in
      state.endVerifying(claim.runs)
      for run in claim.runs { verified(run.position, keepsCached: keepsCached, in: &state) }
      // Filling a piece compares the checksums of all runs that it takes bytes from.
      for run in filled.joined() where state.verifying[run] == nil && !state.isVerified[run] {
        verified(run, keepsCached: keepsCached, in: &state)
      }
      var left: [ArenaHolder] = []
      if let arena {
        add(arena, places, to: &state)
        for (piece, place) in places {
          if case .made(let earlier) = state.pieces[piece] {
            if let holder = take(earlier.arena.id, 1, from: &state) { left.append(holder) }
          }
          state.pieces[piece] = .made(place)
        }
      }
      return left
    }
    claim.flight.end()
    // Their charges end here, outside the lock.
    return Set(left.map { $0.id })
  }

  /// Returns the runs that are in arenas as a whole now that a claim is complete, and that no
  /// client reads in the page cache.
  func takeCopied(_ claim: Claim) -> [Int] {
    // Before the lock, as above.
    let copies = claim.pieces.flatMap { piece in
      checkpoint.runs(of: piece).map {
        (run: $0, byteCount: checkpoint.byteCount(of: piece, fromRun: $0))
      }
    }
    return state.withLock { state in
      let whole = copies.filter { run, byteCount in
        byteCount > 0
          && state.fileUse.copy(byteCount, of: run, checkpoint.stored[run].byteCount)
      }.map { $0.run }
      for run in whole { keep(run, false, in: &state) }
      return whole
    }
  }

  // MARK: The page cache

  /// Counts a run whose checksum matched.
  private func verified(_ run: Int, keepsCached: Bool, in state: inout State) {
    state.isVerified[run] = true
    let added = Figures.Holdings(verifiedByteCount: checkpoint.stored[run].byteCount)
    state.holdings.add(added)
    figures.add(added)
    keep(run, keepsCached, in: &state)
  }

  /// Notes whether the page cache should have a run.
  private func keep(_ run: Int, _ isCached: Bool, in state: inout State) {
    guard state.fileUse.keep(run, isCached) else { return }
    let byteCount = max(0, checkpoint.stored[run].byteCount)
    if isCached {
      let (sum, overflow) = state.keptByteCount.addingReportingOverflow(byteCount)
      state.keptByteCount = overflow ? .max : sum
    } else {
      state.keptByteCount = max(0, state.keptByteCount - byteCount)
    }
    countCached(in: &state)
  }

  /// Brings the figures up to date with what is known of the page cache.
  private func countCached(in state: inout State) {
    let before = Figures.Holdings(cachedByteCount: state.holdings.cachedByteCount)
    let now = Figures.Holdings(
      cachedByteCount: max(0, state.keptByteCount - state.missedByteCount))
    guard before.cachedByteCount != now.cachedByteCount else { return }
    state.holdings.subtract(before)
    state.holdings.add(now)
    figures.replace(before, by: now)
  }

  /// The parts of the files that the page cache should have.
  func cachedParts(in files: FileSet) -> [FilePart] {
    // A copy, since there may be many runs.
    let isCached = state.withLock { $0.fileUse.isCached }
    return checkpoint.parts(of: isCached.indices.filter { isCached[$0] }, in: files)
  }

  /// Notes what a look at the page cache found.
  func note(_ look: CachedFiles.Look) {
    state.withLock { state in
      // Runs of V1 tables have other lengths than the blocks that were looked at.
      state.missedByteCount = look.missed(of: state.keptByteCount)
      countCached(in: &state)
    }
  }

  // MARK: Restarts

  /// For each stored run, whether it was verified.
  var isVerified: [Bool] { state.withLock { $0.isVerified } }

  /// Takes over what an earlier process had verified and made.
  ///
  /// Of two places of a piece, the first counts. An arena without pieces is left out.
  func restore(
    isVerified: [Bool], _ arenas: [(holder: ArenaHolder, entries: [ArenaDescription.Entry])]
  ) {
    // Filling a piece compared the checksums of these, and then dropped them from the page cache.
    let copied = Set(arenas.flatMap { $0.entries.flatMap { checkpoint.runs(of: $0.piece) } })
    state.withLock { state in
      for run in state.isVerified.indices where isVerified[run] || copied.contains(run) {
        verified(run, keepsCached: !copied.contains(run), in: &state)
      }
      for (holder, entries) in arenas {
        var places: [Piece: PiecePlace] = [:]
        for entry in entries where state.pieces[entry.piece] == nil {
          let place = PiecePlace(
            arena: holder, offset: entry.offset, byteCount: entry.byteCount)
          places[entry.piece] = place
          state.pieces[entry.piece] = .made(place)
        }
        guard !places.isEmpty else { continue }
        add(holder, places, to: &state)
        state.arenas[holder.id]?.pinCount = 0
      }
    }
  }

  // MARK: Arenas

  private func add(
    _ arena: ArenaHolder, _ places: [Piece: PiecePlace], to state: inout State
  ) {
    state.arenas[arena.id] = ArenaState(
      holder: arena, listByteCount: places.keys.reduce(0) { $0 + $1.listByteCount },
      pieceCount: places.count, pinCount: 1)
    let added = Figures.Holdings(of: arena.arena)
    state.holdings.add(added)
    figures.add(added)
  }

  /// Takes pieces from an arena; returns the arena if that were the last ones.
  private func take(_ id: UInt64, _ pieceCount: Int, from state: inout State) -> ArenaHolder? {
    guard var arena = state.arenas[id] else { return nil }
    arena.pieceCount -= pieceCount
    state.arenas[id] = arena
    guard arena.pieceCount == 0 else { return nil }
    state.arenas[id] = nil
    let lost = Figures.Holdings(of: arena.holder.arena)
    state.holdings.subtract(lost)
    figures.subtract(lost)
    return arena.holder
  }

  /// The arenas that have pieces.
  var arenas: [ArenaHolder] { state.withLock { $0.arenas.values.map { $0.holder } } }

  /// Notes that a call has all that it needs: its arenas may be dropped when unused.
  func unpin(_ arenas: [UInt64]) {
    guard !arenas.isEmpty else { return }
    state.withLock { state in
      for id in arenas { state.arenas[id]?.pinCount -= 1 }
    }
  }

  /// The pieces in small arenas, if there are enough of these.
  ///
  /// - Parameters:
  ///   - byteCount: The largest size of an arena, its pieces' lists of indices included.
  ///   - count: How many arenas there must be.
  func smallPieces(upTo byteCount: Int, ifAtLeast count: Int) -> [(piece: Piece, place: PiecePlace)]
  {
    state.withLock { state in
      let small = state.arenas.filter {
        $0.value.holder.arena.byteCount + $0.value.listByteCount <= byteCount
      }
      guard small.count >= count else { return [] }
      return state.pieces.compactMap { piece, pieceState in
        guard case .made(let place) = pieceState, small[place.arena.id] != nil else { return nil }
        return (piece, place)
      }
    }
  }

  /// The arenas that no call in progress has; clients may have them.
  var idleArenas: [ArenaHolder] {
    state.withLock { state in
      state.arenas.values.filter { $0.pinCount == 0 }.map { $0.holder }
    }
  }

  /// Forgets an arena unless a client or a call in progress has it; returns whether it did.
  ///
  /// Its memory is freed with the answers that name it.
  func dropArena(_ id: UInt64) -> Bool {
    let holder = state.withLock { $0.arenas[id]?.holder }
    // Asked without the lock. A client that is granted it meanwhile keeps it, and it stays charged.
    guard let holder, !holder.arena.isHeldElsewhere else { return false }
    return state.withLock { state in
      guard let arena = state.arenas[id], arena.pinCount == 0 else { return false }
      state.pieces = state.pieces.filter { entry in
        guard case .made(let place) = entry.value else { return true }
        return place.arena.id != id
      }
      _ = take(id, arena.pieceCount, from: &state)
      return true
    }
  }

  /// Notes that runs were verified, except those that another call is verifying.
  func trust(_ runs: [Resident.Run], keepsCached: Bool) {
    state.withLock { state in
      for run in runs where !state.isVerified[run.position] && state.verifying[run.position] == nil
      {
        verified(run.position, keepsCached: keepsCached, in: &state)
      }
    }
  }

  /// Has the next call that needs the runs verify them again, since they were found damaged.
  ///
  /// - Returns: Whether one of them was verified before.
  func distrust(_ runs: [Resident.Run]) -> Bool {
    state.withLock { state in
      var isNew = false
      for run in runs where state.isVerified[run.position] {
        isNew = true
        state.isVerified[run.position] = false
        keep(run.position, false, in: &state)
        let lost = Figures.Holdings(
          verifiedByteCount: checkpoint.stored[run.position].byteCount)
        state.holdings.subtract(lost)
        figures.subtract(lost)
      }
      return isNew
    }
  }
}

extension Checkpoint {
  /// The bytes that are read for a piece, or the bytes of the piece if these are more.
  fileprivate func byteCount(toMake piece: Piece) -> Int {
    let toRead = byteCount(toRead: [], [piece])
    // One row may be copied to many places, and numbers may be cast to longer ones.
    guard piece.gather != nil || piece.view.dtype != nil, let made = byteCount(of: piece) else {
      return toRead
    }
    let (sum, overflow) = made.addingReportingOverflow(piece.listByteCount)
    return max(toRead, overflow ? .max : sum)
  }

  /// The bytes of runs, and of the runs that pieces are made from.
  func byteCount(toRead runs: [Int], _ pieces: [Piece]) -> Int {
    let all = pieces.reduce(into: runs) { $0 += self.runs(of: $1) }
    return all.reduce(0) { sum, run in
      let (next, overflow) = sum.addingReportingOverflow(max(0, stored[run].byteCount))
      return overflow ? .max : next
    }
  }
}
