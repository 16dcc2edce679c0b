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
    let places: [Piece: PiecePlace]
    do {
      places = try open.acquire(placements, resolution.assignments, for: caller, in: daemon.store)
    } catch {
      throw .status(CallStatus(error))
    }
    var chunks = ResolveChunks(reply, open, places)
    for (assignment, placement) in zip(resolution.assignments, placements) {
      try chunks.append(assignment, placement)
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

  /// Waits until everything placed is verified or made.
  fileprivate func acquire(
    _ placements: [Placement], _ assignments: [Resolution.Assignment], for caller: Caller,
    in store: Store
  ) throws(Problem) -> [Piece: PiecePlace] {
    var runs: [(run: Int, tensor: Int)] = []
    var pieces: [Piece] = []
    var shards: Set<Int32> = []
    for (placement, assignment) in zip(placements, assignments) {
      switch placement {
      case .file(let stored, _, _, _):
        runs.append((stored, assignment.tensor))
        shards.insert(checkpoint.stored[stored].shard)
      case .piece(let piece): pieces.append(piece)
      }
    }
    let places = try resident.acquire(
      runs: runs, pieces: pieces, from: files, for: caller, in: store)
    for shard in shards {
      guard let position = files.position(ofShard: shard, of: checkpoint.shardCount) else {
        continue
      }
      try files.expectUnchanged(files.members[position])
    }
    return places
  }
}

/// The replies of `Resolve`: regions are named before or with the first handle into them.
private struct ResolveChunks {
  private let reply: Responder
  private let open: OpenCheckpoint
  private let places: [Piece: PiecePlace]
  private var chunk = ResolveReply()
  private var files: [File] = []
  private var byteCount = 0
  private var named: Set<UInt64> = []

  init(_ reply: Responder, _ open: OpenCheckpoint, _ places: [Piece: PiecePlace]) {
    self.reply = reply
    self.open = open
    self.places = places
    chunk.checkpoint = open.reply
  }

  mutating func append(
    _ assignment: Resolution.Assignment, _ placement: Placement
  ) throws(CallFailure) {
    let catalog = open.checkpoint.catalog
    let name = catalog.name(assignment.tensor)
    let shape = open.checkpoint.shape(of: assignment.tensor, assignment.slice)
    let region: UInt64
    let offset: Int
    let count: Int
    var strides: [Int] = []
    switch placement {
    case .file(let stored, let start, let byteCount, let steps):
      region = try nameFile(shard: open.checkpoint.stored[stored].shard)
      (offset, count, strides) = (start, byteCount, steps)
    case .piece(let piece):
      guard let place = places[piece] else { preconditionFailure("acquired nothing for a piece") }
      region = try nameArena(place.arena)
      (offset, count) = (place.offset, place.byteCount)
    }
    chunk.handles.append(
      ResolveReply.Handle(
        variable: assignment.variable, tensor: name, dtype: catalog.dtype(assignment.tensor),
        shape: shape, strides: strides, region: region, offset: offset, byteCount: count,
        alignment: min(
          PlacementOptions.maximumAlignment, 1 << min(12, offset.trailingZeroBitCount)),
        slice: assignment.slice))
    byteCount += 48 + name.bytes.count + shape.rank * (assignment.slice == nil ? 10 : 30)
    if byteCount >= Responder.chunkByteCount { try flush(more: true) }
  }

  mutating func finish(_ resolution: Resolution) throws(CallFailure) {
    for skipped in resolution.skipped {
      chunk.skipped.append(
        ResolveReply.Skipped(variable: skipped.variable, tensor: skipped.tensor))
      byteCount += 16 + skipped.tensor.bytes.count
      if byteCount >= Responder.chunkByteCount { try flush(more: true) }
    }
    chunk.unused = resolution.unused
    try flush(more: false)
  }

  private mutating func nameFile(shard: Int32) throws(CallFailure) -> UInt64 {
    guard let position = open.files.position(ofShard: shard, of: open.checkpoint.shardCount) else {
      preconditionFailure("placed in a file that is not there")
    }
    // Even ids are files, odd ones arenas; a connection's handles are never reused.
    let id = (open.handle << 16 | UInt64(position)) << 1
    guard named.insert(id).inserted else { return id }
    chunk.regions.append(
      ResolveReply.Region(
        id: id, place: .file(position), byteCount: open.files.members[position].status.size,
        stability: "best-effort"))
    return id
  }

  private mutating func nameArena(_ holder: ArenaHolder) throws(CallFailure) -> UInt64 {
    let id = holder.id << 1 | 1
    guard !named.contains(id) else { return id }
    if files.count == Connection.maximumDescriptors { try flush(more: true) }
    do {
      files.append(File(try holder.arena.open()))
    } catch {
      throw .status(CallStatus(.quota, "an arena cannot be opened for the client: \(error)"))
    }
    named.insert(id)
    chunk.regions.append(
      ResolveReply.Region(
        id: id, place: .arena(descriptor: files.count - 1), byteCount: holder.arena.byteCount,
        stability: "sealed"))
    return id
  }

  private mutating func flush(more: Bool) throws(CallFailure) {
    try reply.send(more: more, files: files) { frame, scratch in frame.begin(chunk, scratch) }
    chunk = ResolveReply()
    files = []
    byteCount = 0
  }
}
