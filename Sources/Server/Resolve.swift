import Checkpoint
import Kernel
import Messages
import Store
import TensorModel
import Wire

extension Session {
  /// Answers `Resolve`: resolves the map, makes what is missing, and sends handles in chunks.
  ///
  /// Nothing is granted unless everything can be.
  func resolve(_ call: Call, _ reply: Responder, _ caller: Caller) throws(CallFailure) {
    let request = try request(call, ResolveRequest.init(unpacking:_:))
    let options = try PlacementOptions(request.options)
    let open = try open(request.checkpoint, caller)
    let resolution: Resolution
    do {
      resolution = try Resolution.resolve(
        request.map, variables: request.variables, in: open.checkpoint.catalog,
        missing: request.options.skipMissing ? .skip : .fail)
    } catch {
      throw .status(CallStatus(error.all, total: error.total))
    }
    let placements = try open.place(resolution.assignments, options)
    let places: [PiecePlace]
    do {
      places = try open.acquire(placements, resolution.assignments, for: caller, in: daemon.store)
    } catch {
      throw .status(CallStatus(error))
    }
    var chunks = ResolveChunks(reply, open, places, isOpened: isOpenedByCall)
    for index in placements.indices {
      try chunks.append(resolution.assignments[index], placements[index])
    }
    try chunks.finish(resolution)
  }
}

extension PlacementOptions {
  fileprivate init(_ options: ResolveRequest.Options) throws(CallFailure) {
    let alignment = options.alignment
    guard alignment & (alignment - 1) == 0, alignment <= PlacementOptions.maximumAlignment else {
      throw .status(
        CallStatus(
          .invalidRequest,
          "alignment \(alignment) is not a power of two up to \(PlacementOptions.maximumAlignment)")
      )
    }
    self.init(alignment: alignment, sealed: options.sealed, strides: options.strides)
  }
}

extension OpenCheckpoint {
  /// Decides where each assignment is served from; throws all problems.
  fileprivate func place(
    _ assignments: [Resolution.Assignment], _ options: PlacementOptions
  ) throws(CallFailure) -> [Placement] {
    var placements: [Placement] = []
    placements.reserveCapacity(assignments.count)
    var problems: [Problem] = []
    var total = 0
    for assignment in assignments {
      do {
        placements.append(
          try checkpoint.placement(of: assignment.tensor, assignment.slice, options, in: files))
      } catch {
        total += 1
        if problems.count < CallStatus.maximumProblems { problems.append(error) }
      }
    }
    guard problems.isEmpty else { throw .status(CallStatus(problems, total: total)) }
    return placements
  }

  /// Waits until everything placed is verified or made; returns the places of the pieces, in order.
  fileprivate func acquire(
    _ placements: [Placement], _ assignments: [Resolution.Assignment], for caller: Caller,
    in store: Store
  ) throws(Problem) -> [PiecePlace] {
    var runs: [Resident.Run] = []
    var pieces: [Piece] = []
    runs.reserveCapacity(placements.count)
    for index in placements.indices {
      switch placements[index] {
      case .file(let stored, _, _, _):
        runs.append(Resident.Run(position: stored, tensor: assignments[index].tensor))
      case .piece(let piece): pieces.append(piece)
      }
    }
    let places = try resident.acquire(
      runs: runs, pieces: pieces, from: files, for: caller, in: store)
    var isExpected = [Bool](repeating: true, count: files.members.count)
    for run in runs {
      let position = memberPosition(ofRun: run.position)
      guard isExpected[position] else { continue }
      isExpected[position] = false
      try files.expectUnchanged(files.members[position])
    }
    return places
  }

  /// The position of the file that has a stored run, which was placed there.
  fileprivate func memberPosition(ofRun run: Int) -> Int {
    let shard = checkpoint.stored[run].shard
    guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else {
      preconditionFailure("placed in a file that is not there")
    }
    return position
  }
}

/// The replies of `Resolve`: regions are named before or with the first handle into them.
private struct ResolveChunks {
  private let reply: Responder
  private let open: OpenCheckpoint
  private let places: [PiecePlace]
  private var chunk = ResolveReply()
  private var files: [File] = []
  private var regionCount = 0
  private var pieceCount = 0
  /// The region of each file of the checkpoint, or -1.
  private var fileRegions: [Int]
  private var arenaRegions: [UInt64: Int] = [:]

  init(_ reply: Responder, _ open: OpenCheckpoint, _ places: [PiecePlace], isOpened: Bool) {
    self.reply = reply
    self.open = open
    self.places = places
    fileRegions = Array(repeating: -1, count: open.files.members.count)
    if isOpened { chunk.checkpoint = open.reply }
  }

  mutating func append(
    _ assignment: Resolution.Assignment, _ placement: Placement
  ) throws(CallFailure) {
    let tensor = assignment.tensor
    let region: Int
    let offset: Int
    let byteCount: Int
    var strides: [Int] = []
    switch placement {
    case .file(let stored, let start, let count, let steps):
      region = nameFile(open.memberPosition(ofRun: stored))
      (offset, byteCount, strides) = (start, count, steps)
    case .piece:
      // The places are in the order of the pieces.
      let place = places[pieceCount]
      pieceCount += 1
      region = try nameArena(place.arena)
      (offset, byteCount) = (place.offset, place.byteCount)
    }
    let checkpoint = open.checkpoint
    chunk.handles.append(
      Handle(
        variable: assignment.variable, tensor: checkpoint.catalog.name(tensor),
        dtype: checkpoint.catalog.dtype(tensor),
        shape: checkpoint.shape(of: tensor, assignment.slice),
        strides: strides[...], region: region, offset: offset, byteCount: byteCount,
        starts: assignment.slice?.starts[...]))
    if chunk.handles.wireByteCount >= Responder.chunkByteCount { try flush(more: true) }
  }

  mutating func finish(_ resolution: Resolution) throws(CallFailure) {
    var byteCount = chunk.handles.wireByteCount
    for skipped in resolution.skipped {
      chunk.skipped.append(
        ResolveReply.Skipped(variable: skipped.variable, tensor: skipped.tensor))
      byteCount += 8 + skipped.tensor.bytes.count
      guard byteCount >= Responder.chunkByteCount else { continue }
      try flush(more: true)
      byteCount = 0
    }
    chunk.unused = resolution.unused
    try flush(more: false)
  }

  private mutating func nameFile(_ position: Int) -> Int {
    guard fileRegions[position] < 0 else { return fileRegions[position] }
    // Even ids are files, odd ones arenas; a connection's handles are never reused.
    chunk.regions.append(
      ResolveReply.Region(
        id: (open.handle << 16 | UInt64(position)) << 1, place: .file(position),
        byteCount: open.files.members[position].status.size, stability: "best-effort"))
    fileRegions[position] = regionCount
    regionCount += 1
    return regionCount - 1
  }

  private mutating func nameArena(_ holder: ArenaHolder) throws(CallFailure) -> Int {
    if let region = arenaRegions[holder.id] { return region }
    if files.count == Connection.maximumDescriptors { try flush(more: true) }
    do {
      files.append(File(try holder.arena.open()))
    } catch {
      throw .status(CallStatus(.quota, "an arena cannot be opened for the client: \(error)"))
    }
    chunk.regions.append(
      ResolveReply.Region(
        id: holder.id << 1 | 1, place: .arena(descriptor: files.count - 1),
        byteCount: holder.arena.byteCount, stability: "sealed"))
    arenaRegions[holder.id] = regionCount
    regionCount += 1
    return regionCount - 1
  }

  private mutating func flush(more: Bool) throws(CallFailure) {
    try reply.send(more: more, files: files) { frame, scratch in frame.begin(chunk, scratch) }
    chunk.clear()
    files = []
  }
}
