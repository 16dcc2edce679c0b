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
    // Most jobs ask what another has asked before them: that is found without unpacking it.
    guard let parts = ResolveRequest.parts(of: connection.message[call.request]) else {
      let request = try request(call, ResolveRequest.init(unpacking:_:))
      let open = try open(request.checkpoint, caller)
      return try resolve(request, open, question: nil, reply, caller)
    }
    let reference: CheckpointReference
    do {
      reference = try connection.withMessage(
        parts.checkpoint, CheckpointReference.init(unpacking:_:))
    } catch {
      throw .status(CallStatus(.invalidRequest, "the request is not valid: \(error)"))
    }
    let open = try open(reference, caller)
    if let answer = open.resident.answer(to: connection.message[parts.question], in: daemon.store) {
      var message = ResolveReply()
      if isOpenedByCall { message.checkpoint = open.reply }
      var files: [File] = []
      for region in answer.regions {
        if case .file(let position) = region {
          do { try open.files.expectUnchanged(open.files.members[position]) } catch {
            throw .status(CallStatus(error))
          }
        }
        message.regions.append(try open.message(region, &files))
      }
      return try reply.send(message, files, then: answer.reply)
    }
    let request = try request(call, ResolveRequest.init(unpacking:_:))
    try resolve(request, open, question: parts.question, reply, caller)
  }

  private func resolve(
    _ request: ResolveRequest, _ open: OpenCheckpoint, question: Range<Int>?, _ reply: Responder,
    _ caller: Caller
  ) throws(CallFailure) {
    let options = try PlacementOptions(request.options)
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
    try chunks.finish(resolution) { regions, fields in
      guard let question else { return }
      // Before the client can tell anybody that it has its answer.
      open.resident.remember(connection.message[question], regions, fields, in: daemon.store)
    }
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
    var isUnchanged = [Bool](repeating: false, count: files.members.count)
    for run in runs {
      let position = memberPosition(ofRun: run.position)
      guard !isUnchanged[position] else { continue }
      try files.expectUnchanged(files.members[position])
      isUnchanged[position] = true
    }
    return places
  }

  /// Tells where the client finds a region; an arena's file is added to those that are sent.
  fileprivate func message(
    _ region: Answer.Region, _ sent: inout [File]
  ) throws(CallFailure) -> ResolveReply.Region {
    switch region {
    case .file(let position):
      // Even ids are files, odd ones arenas; a connection's handles are never reused.
      return ResolveReply.Region(
        id: (handle << 16 | UInt64(position)) << 1, place: .file(position),
        byteCount: files.members[position].status.size, stability: "best-effort")
    case .arena(let holder):
      do {
        sent.append(File(try holder.arena.open()))
      } catch {
        throw .status(CallStatus(.quota, "an arena cannot be opened for the client: \(error)"))
      }
      return ResolveReply.Region(
        id: holder.id << 1 | 1, place: .arena(descriptor: sent.count - 1),
        byteCount: holder.arena.byteCount, stability: "sealed")
    }
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

/// The regions that the replies to one call name, and the arenas' files that go with the next reply.
private struct Regions {
  private let open: OpenCheckpoint
  private(set) var all: [Answer.Region] = []
  /// Those that no reply has named yet.
  var messages: [ResolveReply.Region] = []
  var files: [File] = []
  /// The region of each file of the checkpoint, or -1.
  private var fileRegions: [Int]
  private var arenaRegions: [UInt64: Int] = [:]

  init(_ open: OpenCheckpoint) {
    self.open = open
    fileRegions = Array(repeating: -1, count: open.files.members.count)
  }

  /// Whether another arena's file fits on the next reply.
  var isFull: Bool { files.count == Connection.maximumDescriptors }

  /// Names a region unless it is named; returns its position among all.
  mutating func name(_ region: Answer.Region) throws(CallFailure) -> Int {
    switch region {
    case .file(let position):
      if fileRegions[position] >= 0 { return fileRegions[position] }
      fileRegions[position] = all.count
    case .arena(let holder):
      if let known = arenaRegions[holder.id] { return known }
      arenaRegions[holder.id] = all.count
    }
    messages.append(try open.message(region, &files))
    all.append(region)
    return all.count - 1
  }
}

extension Responder {
  /// Sends a reply that names regions first, and has the fields that were packed before.
  fileprivate func send(
    more: Bool = false, _ first: ResolveReply, _ files: [File], then fields: [UInt8]
  ) throws(CallFailure) {
    try send(more: more, files: files) { frame, scratch in
      frame.begin(first, scratch)
      frame.append(fields)
    }
  }
}

/// The replies of `Resolve`: regions are named before or with the first handle into them.
private struct ResolveChunks {
  private let reply: Responder
  private let open: OpenCheckpoint
  private let places: [PiecePlace]
  private var checkpoint: OpenReply?
  private var chunk = ResolveReply()
  private var regions: Regions
  private var pieceCount = 0
  private var isDivided = false

  init(_ reply: Responder, _ open: OpenCheckpoint, _ places: [PiecePlace], isOpened: Bool) {
    self.reply = reply
    self.open = open
    self.places = places
    regions = Regions(open)
    checkpoint = isOpened ? open.reply : nil
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
      region = try regions.name(.file(open.memberPosition(ofRun: stored)))
      (offset, byteCount, strides) = (start, count, steps)
    case .piece:
      // The places are in the order of the pieces.
      let place = places[pieceCount]
      pieceCount += 1
      if regions.isFull { try flush() }
      region = try regions.name(.arena(place.arena))
      (offset, byteCount) = (place.offset, place.byteCount)
    }
    let checkpoint = open.checkpoint
    chunk.handles.append(
      Handle(
        variable: assignment.variable, tensor: checkpoint.catalog.name(tensor),
        dtype: checkpoint.catalog.dtype(tensor),
        shape: checkpoint.shape(of: tensor, assignment.slice), strides: strides[...],
        region: region, offset: offset, byteCount: byteCount,
        starts: assignment.slice?.starts[...]))
    if chunk.handles.wireByteCount >= Responder.chunkByteCount { try flush() }
  }

  /// Sends what is left; the whole answer is to be remembered if one reply has room for it.
  mutating func finish(
    _ resolution: Resolution, remember: ([Answer.Region], ArraySlice<UInt8>) -> Void
  ) throws(CallFailure) {
    var byteCount = chunk.handles.wireByteCount
    for skipped in resolution.skipped {
      chunk.skipped.append(
        ResolveReply.Skipped(variable: skipped.variable, tensor: skipped.tensor))
      byteCount += 8 + skipped.tensor.bytes.count
      guard byteCount >= Responder.chunkByteCount else { continue }
      try flush()
      byteCount = 0
    }
    chunk.unused = resolution.unused
    let fields = reply.fields(of: chunk)
    if !isDivided { remember(regions.all, fields[...]) }
    try send(fields, more: false)
  }

  private mutating func flush() throws(CallFailure) {
    isDivided = true
    try send(reply.fields(of: chunk), more: true)
    chunk.clear()
  }

  private mutating func send(_ fields: [UInt8], more: Bool) throws(CallFailure) {
    var first = ResolveReply()
    first.checkpoint = checkpoint
    first.regions = regions.messages
    try reply.send(more: more, first, regions.files, then: fields)
    checkpoint = nil
    regions.messages = []
    regions.files = []
  }
}
