import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

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
    if let answer = open.lease.answer(to: connection.message[parts.question]) {
      return try send(answer, open, reply, caller)
    }
    let request = try request(call, ResolveRequest.init(unpacking:_:))
    try resolve(request, open, question: parts.question, reply, caller)
  }

  private func resolve(
    _ request: ResolveRequest, _ open: OpenCheckpoint, question: Range<Int>?, _ reply: Responder,
    _ caller: Caller
  ) throws(CallFailure) {
    let options = try PlacementOptions(request.options)
    let resolution = try resolve(request, open, caller)
    let placements = try open.place(
      resolution.assignments, request.variables.gathers, options, for: caller)
    let isPlan = request.options.planOnly
    var places: [PiecePlace] = []
    do {
      if request.options.readAgain, !isPlan { try open.readAgain(placements, for: caller) }
      if !isPlan {
        let notes = request.options.progress ? progressNotes ?? ProgressNotes(reply) : nil
        progressNotes = notes
        places = try open.acquire(placements, for: caller, notes)
      }
      try open.expectUnchanged(placements, for: caller)
    } catch {
      throw .status(CallStatus(error))
    }
    var chunks = ResolveChunks(
      reply, open, request.variables, isOpened: isOpenedByCall, isPlan: isPlan)
    try chunks.append(resolution.assignments, placements, places)
    try chunks.finish(
      resolution, namesUnusedTensors: request.options.namesUnusedTensors
    ) { regions, replies in
      // An answer from memory would be no reading; a plan that is made anew sees what changed.
      guard let question, !request.options.readAgain, !isPlan else { return }
      // Before the client can tell anybody that it has its answer.
      open.lease.remember(connection.message[question], regions, replies)
    }
  }

  /// Sends an answer that somebody else got to the same question.
  private func send(
    _ answer: Answer, _ open: OpenCheckpoint, _ responder: Responder, _ caller: Caller
  ) throws(CallFailure) {
    do {
      try caller.pausing { () throws(Problem) in
        for region in answer.regions {
          guard case .file(let position) = region else { continue }
          try open.files.expectUnchanged(open.files.members[position])
        }
      }
    } catch {
      throw .status(CallStatus(error))
    }
    for (index, reply) in answer.replies.enumerated() {
      var files: [File] = []
      var regions: [ResolveReply.Region] = []
      for position in reply.regions {
        regions.append(try open.message(answer.regions[position], &files))
      }
      let checkpoint = index == 0 && isOpenedByCall ? open.reply : nil
      let isLast = index == answer.replies.count - 1
      try responder.send(more: !isLast, files: files) { frame, scratch in
        frame.begin(fields: reply.fields)
        frame.prepend(checkpoint, regions, scratch)
      }
    }
  }
}

extension Session {
  /// Resolves the map in the tensors' own names, or in what the object graph says of them.
  private func resolve(
    _ request: ResolveRequest, _ open: OpenCheckpoint, _ caller: Caller
  ) throws(CallFailure) -> Resolution {
    let objects = request.options.objectNames ? try objects(of: open, caller) : nil
    let options = request.options.resolution
    do throws(Problems) {
      guard let objects else {
        return try Resolution.resolve(
          request.map, variables: request.variables, in: open.checkpoint.catalog, options)
      }
      while true {
        let (resolution, uncompared) = try Resolution.resolve(
          request.map, variables: request.variables, in: objects.names, options)
        // A plan reads no tensors, and takes those of one name as equal.
        if uncompared.isEmpty || request.options.planOnly { return resolution }
        do throws(Problem) {
          try open.lease.compare(uncompared, of: objects, from: open.files, for: caller)
        } catch {
          throw Problems([error])
        }
      }
    } catch {
      throw .status(CallStatus(open.files.explained(error.all), total: error.total))
    }
  }
}

extension PlacementOptions {
  fileprivate init(_ options: ResolveRequest.Options) throws(CallFailure) {
    let alignment = options.alignment
    guard alignment & (alignment - 1) == 0, alignment <= Alignment.maximum else {
      throw .status(
        CallStatus(
          .invalidRequest,
          "alignment \(alignment) is not a power of two up to \(Alignment.maximum)")
      )
    }
    self.init(alignment: alignment, sealed: options.sealed, strides: options.strides)
  }
}

extension OpenCheckpoint {
  /// Decides where each assignment is served from; throws all problems.
  fileprivate func place(
    _ assignments: [Resolution.Assignment], _ gathers: [Int: Gather], _ options: PlacementOptions,
    for caller: Caller
  ) throws(CallFailure) -> Placements {
    var problems: [Problem] = []
    var total = 0
    let placements: Placements
    do throws(Problem) {
      placements = try checkpoint.place(
        assignments, gathers: gathers, options, in: files, checkIn: caller.checkIn
      ) {
        total += 1
        if problems.count < CallStatus.maximumProblems { problems.append($0) }
      }
    } catch {
      throw .status(CallStatus(error))
    }
    guard problems.isEmpty else { throw .status(CallStatus(problems, total: total)) }
    return placements
  }

  /// Reads everything placed, also what was verified before.
  fileprivate func readAgain(_ placements: Placements, for caller: Caller) throws(Problem) {
    var runs = placements.runs.map { Resident.Run(position: $0.position, tensor: $0.tensor) }
    for piece in placements.pieces {
      for run in checkpoint.runs(of: piece) {
        runs.append(Resident.Run(position: run, tensor: piece.tensor))
      }
    }
    try lease.verifyAgain(runs, from: files, for: caller)
  }

  /// Waits until everything placed is verified or made; returns the places of the pieces, in order.
  fileprivate func acquire(
    _ placements: Placements, for caller: Caller, _ notes: ProgressNotes?
  ) throws(Problem) -> [PiecePlace] {
    try lease.acquire(
      runs: placements.runs.map { Resident.Run(position: $0.position, tensor: $0.tensor) },
      pieces: placements.pieces, from: files, for: caller,
      note: notes.map { notes in
        { notes.note(.init(readyByteCount: $0, totalByteCount: $1)) }
      })
  }

  /// Throws CHECKPOINT_CHANGED if a file that serves something is no longer what it was.
  fileprivate func expectUnchanged(
    _ placements: Placements, for caller: Caller
  ) throws(Problem) {
    var isUnchanged = [Bool](repeating: false, count: files.members.count)
    try caller.pausing { () throws(Problem) in
      for member in placements.members where member >= 0 && !isUnchanged[Int(member)] {
        try files.expectUnchanged(files.members[Int(member)])
        isUnchanged[Int(member)] = true
      }
    }
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
        sent.append(File(try holder.grant(to: lease.account.uid)))
      } catch {
        throw .status(CallStatus(.quota, "an arena cannot be opened for the client: \(error)"))
      }
      return ResolveReply.Region(
        id: holder.id << 1 | 1, place: .arena(descriptor: sent.count - 1),
        byteCount: holder.arena.byteCount, stability: "sealed")
    }
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

  /// Names a file of the checkpoint unless it is named; returns the region's position among all.
  mutating func name(file position: Int) throws(CallFailure) -> Int {
    if fileRegions[position] < 0 {
      fileRegions[position] = all.count
      try append(.file(position))
    }
    return fileRegions[position]
  }

  /// Names an arena unless it is named; returns the region's position among all.
  mutating func name(_ arena: ArenaHolder) throws(CallFailure) -> Int {
    if let known = arenaRegions[arena.id] { return known }
    arenaRegions[arena.id] = all.count
    try append(.arena(arena))
    return all.count - 1
  }

  private mutating func append(_ region: Answer.Region) throws(CallFailure) {
    messages.append(try open.message(region, &files))
    all.append(region)
  }
}

/// The replies of `Resolve`: regions are named before or with the first handle into them.
private struct ResolveChunks {
  private let reply: Responder
  private let open: OpenCheckpoint
  private let variables: VariableList
  /// Whether handles are sent without regions.
  private let isPlan: Bool
  private var checkpoint: OpenReply?
  private var handles: OutgoingHandles
  private var regions: Regions
  /// The replies but the last, as far as they are to be remembered.
  private var sent: [Answer.Reply] = []
  private var sentByteCount = 0
  private var sentRegionCount = 0

  init(
    _ reply: Responder, _ open: OpenCheckpoint, _ variables: VariableList, isOpened: Bool,
    isPlan: Bool
  ) {
    self.reply = reply
    self.open = open
    self.variables = variables
    self.isPlan = isPlan
    handles = OutgoingHandles(of: open.checkpoint.catalog, isPlan: isPlan)
    regions = Regions(open)
    checkpoint = isOpened ? open.reply : nil
  }

  /// Adds a handle for each assignment, and sends what fills a reply.
  mutating func append(
    _ assignments: [Resolution.Assignment], _ placements: Placements, _ places: [PiecePlace]
  ) throws(CallFailure) {
    // The places are in the order of the pieces.
    var pieceCount = 0
    for index in assignments.indices {
      let member = placements.members[index]
      var (offset, byteCount) = (placements.offsets[index], placements.byteCounts[index])
      var region = 0
      if isPlan {
        if member < 0 {
          byteCount = open.checkpoint.byteCount(of: placements.pieces[pieceCount]) ?? 0
          pieceCount += 1
        }
      } else if member >= 0 {
        region = try regions.name(file: Int(member))
      } else {
        if regions.isFull { try flush() }
        region = try regions.name(places[pieceCount].arena)
        (offset, byteCount) = (places[pieceCount].offset, places[pieceCount].byteCount)
        pieceCount += 1
      }
      let (variable, tensor) = (assignments[index].variable, assignments[index].tensor)
      let isNamed = !variables.isCalled(variable, open.checkpoint.catalog.nameBytes(tensor))
      handles.append(
        variable: variable, tensor, isNamed: isNamed, assignments[index].slice,
        gather: variables.gathers.isEmpty ? nil : variables.gathers[variable], region: region,
        offset: offset, byteCount: byteCount,
        strides: placements.strides.isEmpty ? [] : placements.strides[index] ?? [])
      if handles.wireByteCount >= Responder.chunkByteCount { try flush() }
    }
  }

  /// Sends what is left; before that, the whole answer is to be remembered unless it is long.
  mutating func finish(
    _ resolution: Resolution, namesUnusedTensors: Bool,
    remember: ([Answer.Region], [Answer.Reply]) -> Void
  ) throws(CallFailure) {
    var byteCount = handles.wireByteCount
    var report = ResolveReply.Report()
    for skipped in resolution.skipped {
      report.skipped.append(skipped)
      byteCount += 12 + skipped.tensor.bytes.count + 8 * (skipped.storedShape?.rank ?? 0)
      try flush(&report, &byteCount)
    }
    let uncovered = resolution.uncovered
    let positionCount = Responder.chunkByteCount / 4
    for start in stride(from: 0, to: uncovered.count, by: positionCount) {
      report.uncovered = Array(uncovered[start...].prefix(positionCount))
      byteCount += 4 * report.uncovered.count
      try flush(&report, &byteCount)
    }
    for start in stride(from: 0, to: resolution.unused.count, by: positionCount) {
      report.unused = Array(resolution.unused[start...].prefix(positionCount))
      byteCount += 4 * report.unused.count
      try flush(&report, &byteCount)
    }
    report.unusedTensors = UnusedTensors(
      of: open.checkpoint.catalog, after: resolution.assignments, isNaming: namesUnusedTensors)
    try send(more: false, report) { last in
      guard let last else { return }
      remember(regions.all, sent + [last])
    }
  }

  /// Sends a report, and begins another, if it fills a reply.
  private mutating func flush(
    _ report: inout ResolveReply.Report, _ byteCount: inout Int
  ) throws(CallFailure) {
    guard byteCount >= Responder.chunkByteCount else { return }
    try flush(report)
    (report, byteCount) = (ResolveReply.Report(), 0)
  }

  private mutating func flush(
    _ report: ResolveReply.Report = ResolveReply.Report()
  ) throws(CallFailure) {
    var copy: Answer.Reply?
    try send(more: true, report) { copy = $0 }
    if let copy { sent.append(copy) }
    // One reply that is not kept is as good as none.
    sentByteCount += copy?.fields.count ?? Answer.maximumByteCount
    sentRegionCount = regions.all.count
    handles.removeAll()
    checkpoint = nil
    regions.messages = []
    regions.files = []
  }

  /// Sends a reply; what is to be remembered of it is given away before that, if it is not too much.
  private func send(
    more: Bool, _ report: ResolveReply.Report, _ remember: (Answer.Reply?) -> Void
  ) throws(CallFailure) {
    try reply.send(more: more, files: regions.files) { frame, scratch in
      frame.begin(handles, report)
      let fields = frame.bytes
      let isKept = fields.count <= Answer.maximumByteCount - sentByteCount
      remember(
        isKept
          ? Answer.Reply(regions: sentRegionCount..<regions.all.count, fields: Array(fields)) : nil)
      frame.prepend(checkpoint, regions.messages, scratch)
    }
  }
}
