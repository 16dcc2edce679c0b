import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// The replies to one `Resolve`: each region is named before the first handle into it, or with it.
struct ResolveChunks {
  private let reply: Responder
  private let open: OpenCheckpoint
  private let variables: VariableList
  /// Whether the call is a plan, whose handles have no regions.
  private let isPlan: Bool
  private var checkpoint: OpenReply?
  private var handles: OutgoingHandles
  private var regions: Regions
  /// The replies that were sent, as far as they are to be remembered.
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

  /// Adds a handle for each assignment, and sends a reply whenever one is full.
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
      let view = variables.view(variable, of: open.checkpoint.catalog.dtype(tensor))
      handles.append(
        variable: variable, tensor, isNamed: isNamed, assignments[index].slice,
        gather: variables.gathers.isEmpty ? nil : variables.gathers[variable], view,
        region: region,
        offset: offset, byteCount: byteCount,
        strides: placements.strides.isEmpty ? [] : placements.strides[index] ?? [])
      if handles.wireByteCount >= Responder.chunkByteCount { try flush() }
    }
  }

  /// Sends the last reply; before that, `remember` gets the whole answer unless it is too long.
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

  /// Sends a report, and begins another, if the report fills a reply.
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
    // An answer is remembered whole or not at all.
    sentByteCount += copy?.fields.count ?? Answer.maximumByteCount
    sentRegionCount = regions.all.count
    handles.removeAll()
    checkpoint = nil
    regions.messages = []
    regions.files = []
  }

  /// Sends a reply; before that, `remember` gets a copy, or nil if the answer has become too long.
  private func send(
    more: Bool, _ report: ResolveReply.Report, _ remember: (Answer.Reply?) -> Void
  ) throws(CallFailure) {
    try reply.send(more: more, files: regions.files) { frame, scratch in
      frame.begin(handles, report)
      let isKept = frame.byteCount <= Answer.maximumByteCount - sentByteCount
      remember(
        isKept
          ? Answer.Reply(regions: sentRegionCount..<regions.all.count, fields: frame.copy())
          : nil)
      frame.prepend(checkpoint, regions.messages, scratch)
    }
  }
}
