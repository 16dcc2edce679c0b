import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// One call's loading for a lease, through the call's own files.
struct Work {
  /// The pieces of arenas up to this size are put together once there are too many of these arenas.
  private static let smallArenaByteCount = 64 << 10
  private static let maximumSmallArenaCount = 16
  /// A load notes its progress for waiting calls after this many bytes; chosen, not tuned.
  private static let notedByteCount = 1 << 20

  private let lease: Lease
  private let files: FileSet
  private let caller: Caller
  private let progress: Progress?

  private var store: Store { lease.store }
  private var resident: Resident { lease.resident }
  private var checkpoint: Checkpoint { lease.resident.checkpoint }

  /// Prepares to load; `progress` counts for a client that asked for notes.
  init(_ lease: Lease, _ files: FileSet, _ caller: Caller, _ progress: Progress? = nil) {
    self.lease = lease
    self.files = files
    self.caller = caller
    self.progress = progress
  }

  /// Loads a claim and completes it; returns the number of the arena, if one was made.
  func load(_ claim: Pieces.Claim) throws(Problem) -> UInt64? {
    progress?.count()
    store.figures.count { $0.loads += 1 }
    guard !claim.pieces.isEmpty else {
      let keepsCached = try verify(claim.runs, for: claim.flight)
      _ = resident.pieces.complete(claim, [:], in: nil, keepsCached: keepsCached)
      return nil
    }
    let read = begin(runs: claim.runs, claim.pieces, for: claim.flight)
    var loading = Loading(
      checkpoint, files, keepsCached: read.keepsCached, checkIn: read.checkIn, didRead: read.didRead
    )
    let runs = claim.runs.map { (run: $0.position, tensor: $0.tensor) }
    // A tab for each arena: its payer may change.
    let tab = Tab(lease.account)
    // Held until the arena is filled.
    let decoding = try store.charge(
      Amounts(memory: try decodingByteCount(of: claim.pieces, &loading)), to: tab, for: "decoding",
      passing: caller)
    var layout = Layout()
    try loading.readStrings(of: claim.pieces)
    for piece in claim.pieces { try layout.append(piece, byteCount: loading.byteCount(of: piece)) }
    let targets = layout.targets
    let moved = try smallPieces(&layout)
    let description = description(of: layout)
    let charge = try store.charge(
      Amounts(memory: description.chargedByteCount(beside: layout.byteCount), descriptors: 1),
      to: tab,
      for: "an arena", holding: decoding.amounts[.memory])
    let arena = try makeArena(max(1, layout.byteCount), description) { arena throws(Problem) in
      try loading.load(verifying: runs, filling: targets, of: &arena)
      try move(moved, layout.targets.dropFirst(targets.count), to: &arena)
    }
    _ = consume decoding
    let holder = ArenaHolder(
      id: store.figures.nextArenaID(), arena,
      named: store.legacy.arenaName(of: resident.key, payer: tab.uid), tab, charge, store.kept)
    var places: [Piece: PiecePlace] = [:]
    for target in layout.targets {
      places[target.piece] = PiecePlace(
        arena: holder, offset: target.offset, byteCount: target.byteCount)
    }
    // An answer that names an arena without pieces would keep it in memory.
    resident.answers.forget(
      resident.pieces.complete(claim, places, in: holder, keepsCached: read.keepsCached))
    store.legacy.update()
    // Otherwise the bytes would take memory twice.
    checkpoint.dropCached(resident.pieces.takeCopied(claim), in: files)
    store.figures.count {
      $0.verifiedRuns += claim.runs.count
      $0.arenas += 1
      $0.pieces += targets.count
    }
    return holder.id
  }

  /// Reads runs from the disk and compares their checksums; returns whether the page cache keeps
  /// them.
  func verifyAgain(
    _ runs: [Resident.Run], _ didRead: @escaping (Int) -> Void
  ) throws(Problem) -> Bool {
    store.figures.count { $0.loads += 1 }
    checkpoint.dropCached(from: runs.map(\.position), in: files)
    return try verify(runs, didRead: didRead)
  }

  /// Compares checksums of runs, on two threads if the user has a load slot to spare; returns
  /// whether the page cache keeps the runs.
  private func verify(
    _ runs: [Resident.Run], for flight: Flight? = nil, didRead: @escaping (Int) -> Void = { _ in }
  ) throws(Problem) -> Bool {
    let read = begin(runs: runs, [], for: flight, didRead: didRead)
    let verification = Verification(
      of: runs.map { (run: $0.position, tensor: $0.tensor) }, checkpoint, files,
      keepsCached: read.keepsCached)
    if verification.isShareable { startHelper(verification) }
    try verification.run(checkIn: read.checkIn, didRead: read.didRead)
    store.figures.count { $0.verifiedRuns += runs.count }
    return read.keepsCached
  }

  /// Starts a thread that takes a part of a verification, unless the user's slots are all taken.
  private func startHelper(_ verification: Verification) {
    guard Process.processorCount > 1 else { return }
    let slots = store.loadSlots.slots(of: lease.caller)
    guard slots.enterIfFree() else { return }
    verification.beginHelp()
    do {
      try Thread.detach {
        // A load that waits for a slot gets this one before the next stretch.
        verification.help { !slots.isAwaited }
        slots.leave()
        verification.endHelp()
      }
    } catch {
      // The call's own thread does it all.
      slots.leave()
      verification.endHelp()
    }
  }

  /// What a reader of runs asks and reports while it works.
  private struct Reading {
    let keepsCached: Bool
    let checkIn: () throws(Problem) -> Void
    let didRead: (Int) -> Void
  }

  private func begin(
    runs: [Resident.Run], _ pieces: [Piece], for flight: Flight?,
    didRead: @escaping (Int) -> Void = { _ in }
  ) -> Reading {
    let byteCount = checkpoint.byteCount(toRead: runs.map(\.position), pieces)
    let (warm, overflow) = store.figures.holdings.cachedByteCount.addingReportingOverflow(
      byteCount)
    let keepsCached = !overflow && warm <= store.warmFileLimit
    flight?.expect(byteCount)
    var unnoted = 0
    return Reading(keepsCached: keepsCached) { [caller] () throws(Problem) in
      // While other calls wait for the result, the work goes on even if its caller has gone.
      if flight?.isAwaited != true { try caller.checkIn() }
    } didRead: { [progress] byteCount in
      guard byteCount > 0 else { return }
      progress?.add(byteCount)
      didRead(byteCount)
      unnoted += byteCount
      // There may be many small runs.
      guard unnoted >= Work.notedByteCount else { return }
      flight?.didRead(unnoted)
      unnoted = 0
    }
  }

  // MARK: Arenas

  /// The bytes that it takes for a while to fill an arena and to describe it.
  private func decodingByteCount(of pieces: [Piece], _ loading: inout Loading) throws(Problem)
    -> Int
  {
    pieces.reduce(try loading.decodingByteCount(of: pieces)) {
      Pieces.Needed.sum($0, $1.listByteCount)
    }
  }

  /// Describes an arena for the daemon's next process.
  private func description(of layout: Layout) -> ArenaDescription {
    var description = ArenaDescription(of: resident.generation)
    for target in layout.targets {
      description.append(
        target.piece, at: target.offset, byteCount: target.byteCount, of: checkpoint)
    }
    return description
  }

  /// Adds the pieces of many small arenas to this arena if it is small, too.
  ///
  /// Otherwise a client that asks for one element at a time would have a file made for each.
  private func smallPieces(
    _ layout: inout Layout
  ) throws(Problem) -> [(piece: Piece, place: PiecePlace)] {
    // Other users must not pay for long lists of indices.
    guard layout.byteCount <= Work.smallArenaByteCount - layout.listByteCount else { return [] }
    let moved = resident.pieces.smallPieces(
      upTo: Work.smallArenaByteCount, ifAtLeast: Work.maximumSmallArenaCount)
    for (piece, place) in moved { try layout.append(piece, byteCount: place.byteCount) }
    return moved
  }

  private func move(
    _ moved: [(piece: Piece, place: PiecePlace)], _ targets: ArraySlice<Loading.Target>,
    to arena: inout Arena
  ) throws(Problem) {
    for ((_, place), target) in zip(moved, targets) {
      let end = target.offset + target.byteCount
      do { try arena.reserve(upTo: end) } catch { throw refused(arena.byteCount, error) }
      var bytes = arena.bytes
      var run = bytes._mutatingExtracting(target.offset..<end)
      do { try place.arena.arena.read(at: place.offset, into: &run) } catch {
        throw Problem(.system, "cannot read an arena: \(error)")
      }
    }
  }

  private func makeArena(
    _ filledByteCount: Int, _ description: ArenaDescription,
    _ fill: (inout Arena) throws(Problem) -> Void
  ) throws(Problem) -> SealedArena {
    let trailerByteCount = description.trailerByteCount
    let byteCount = Pieces.Needed.sum(filledByteCount, trailerByteCount)
    var arena: Arena
    do {
      arena = try Arena(named: "warmstart:\(resident.generation)", byteCount: byteCount)
    } catch .tooManyOpenFiles {
      _ = store.evictAll(because: .room)
      do {
        arena = try Arena(named: "warmstart:\(resident.generation)", byteCount: byteCount)
      } catch {
        throw refused(byteCount, error)
      }
    } catch {
      throw refused(byteCount, error)
    }
    try fill(&arena)
    let trailer = description.trailer(hugeByteCount: arena.hugeByteCount)
    do throws(Errno) {
      try arena.reserve(upTo: byteCount)
      var bytes = arena.bytes
      bytes.copy(trailer.rawSpan, from: 0, to: filledByteCount, count: trailerByteCount)
      return try arena.seal(trailing: trailerByteCount)
    } catch {
      throw refused(byteCount, error)
    }
  }

  private func refused(_ byteCount: Int, _ error: Errno) -> Problem {
    Problem(
      error == .tooManyOpenFiles ? .quota : .budget,
      "cannot make an arena of \(byteCount) bytes: \(error)")
  }
}

/// The places of pieces in a new arena, one after the other.
private struct Layout {
  private(set) var targets: [Loading.Target] = []
  private(set) var byteCount = 0
  /// The bytes of the pieces' lists of indices.
  private(set) var listByteCount = 0

  mutating func append(_ piece: Piece, byteCount count: Int) throws(Problem) {
    let (padded, overflow) = byteCount.addingReportingOverflow(piece.alignment - 1)
    let offset = padded & ~(piece.alignment - 1)
    let (next, overflows) = offset.addingReportingOverflow(count)
    guard !overflow, !overflows else {
      throw Problem(.budget, "the pieces of one arena have more than 2^63 bytes together")
    }
    targets.append(Loading.Target(piece: piece, offset: offset, byteCount: count))
    listByteCount += piece.listByteCount
    byteCount = next
  }
}
