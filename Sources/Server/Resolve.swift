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
  func resolve(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    // Most jobs ask what another job asked before: that answer is found without unpacking the
    // request.
    guard let parts = ResolveRequest.parts(of: call.request) else {
      let request = try request(call, ResolveRequest.init(unpacking:_:))
      let open = try holdings.open(request.checkpoint, caller)
      return try resolve(request, open, question: nil, reply, caller)
    }
    let reference: CheckpointReference
    do {
      let bytes = call.message[parts.checkpoint]
      reference = try CheckpointReference(unpacking: bytes.rawSpan, connection.scratch)
    } catch {
      throw .status(CallStatus(.invalidRequest, "the request is not valid: \(error)"))
    }
    if reference.expectedSHA256 != nil {
      return try resolveExpecting(reference, call, reply, caller)
    }
    let open = try holdings.open(reference, caller)
    let question = call.message[parts.question]
    if let answer = open.lease.answer(to: question, withoutFiles: open.published != nil) {
      return try send(answer, open, reply, caller)
    }
    let request = try request(call, ResolveRequest.init(unpacking:_:))
    try resolve(request, open, question: question, reply, caller)
  }

  /// Answers a request that expects a SHA-256, with notes about the reading if the client wants
  /// them.
  private func resolveExpecting(
    _ reference: CheckpointReference, _ call: borrowing IncomingCall, _ reply: Responder,
    _ caller: Caller
  ) throws(CallFailure) {
    let request = try request(call, ResolveRequest.init(unpacking:_:))
    var note: ((Int, Int) -> Void)?
    if request.options.progress {
      let notes = progressNotes ?? ProgressNotes(reply)
      progressNotes = notes
      note = { notes.note(.init(readyByteCount: $0, totalByteCount: $1)) }
    }
    let open = try holdings.open(reference, caller, note: note)
    progressNotes?.restart()
    try resolve(request, open, question: nil, reply, caller)
  }

  private func resolve(
    _ request: ResolveRequest, _ open: OpenCheckpoint, question: ArraySlice<UInt8>?,
    _ reply: Responder,
    _ caller: Caller
  ) throws(CallFailure) {
    let options = try PlacementOptions(request.options)
    let resolution = try resolve(request, open, caller)
    let placements = try open.place(
      resolution.assignments, of: request.variables, options, for: caller)
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
      reply, open, request.variables, isOpened: holdings.isOpenedByCall, isPlan: isPlan)
    try chunks.append(resolution.assignments, placements, places)
    try chunks.finish(
      resolution, namesUnusedTensors: request.options.namesUnusedTensors
    ) { regions, replies in
      // `read_again` asks for reading, not for memory; a plan is made anew to see what has changed.
      guard let question, !request.options.readAgain, !isPlan else { return }
      // Before the reply is sent: the next job may ask as soon as this client has its answer.
      open.lease.remember(question, regions, replies)
    }
  }

  /// Sends the answer that another job got to the same question.
  private func send(
    _ answer: Answer, _ open: OpenCheckpoint, _ responder: Responder, _ caller: Caller
  ) throws(CallFailure) {
    // Mostly one short reply about the checkpoint's only file, which needs no arrays.
    if answer.isShort, answer.regions.count == 1, case .file(let position) = answer.regions[0],
      !holdings.isOpenedByCall
    {
      try responder.send { frame, _ in
        frame.begin(fields: answer.replies[0].fields)
        frame.prepend(open.region(file: position))
      } after: { () throws(Problem) in
        // The reply is made already, and sending it needs no turn.
        turn.giveUp()
        try open.files.expectUnchanged(at: position)
      }
      return
    }
    do {
      // A file that does not answer must not keep the turn.
      let hadTurn = turn.giveUp()
      for region in answer.regions {
        guard case .file(let position) = region else { continue }
        try open.files.expectUnchanged(at: position)
      }
      if hadTurn { try turn.take(caller) }
    } catch {
      throw .status(CallStatus(error))
    }
    let replies = answer.replies
    for index in replies.indices {
      let isLast = index == replies.count - 1
      let checkpoint = index == 0 && holdings.isOpenedByCall ? open.reply : nil
      var files: [File] = []
      var regions: [ResolveReply.Region] = []
      for position in replies[index].regions {
        regions.append(try open.message(answer.regions[position], &files))
      }
      try responder.send(more: !isLast, files: files) { frame, scratch in
        frame.begin(fields: replies[index].fields)
        frame.prepend(checkpoint, regions, scratch)
      }
    }
  }
}

extension Session {
  /// Resolves the map by the tensors' own names, or by their names in the object graph.
  private func resolve(
    _ request: ResolveRequest, _ open: OpenCheckpoint, _ caller: Caller
  ) throws(CallFailure) -> Resolution {
    let objects = request.options.objectNames ? try objects(of: open, caller) : nil
    let options = request.options.resolution
    do throws(Problems) {
      guard let objects else {
        return try Resolution.resolve(
          request.map, variables: request.variables, in: open.checkpoint.catalog, options,
          separator: request.options.separator)
      }
      while true {
        let (resolution, uncompared) = try Resolution.resolve(
          request.map, variables: request.variables, in: objects.names, options)
        // A plan reads no tensors; it assumes that tensors of one name are equal.
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
