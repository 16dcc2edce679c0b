import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

/// What a map was resolved to, checked and mapped: all tensors of a call refer to it.
///
/// Its constants never change, so a span of a region's memory may live as long as any value that
/// refers to the answer.
final class Answer: Sendable {
  let handles: Handles
  /// The variables of the request.
  let variables: [Variable]
  let regions: [Region]
  /// Where the regions' bytes are: the regions keep them.
  private let places: [MappedPlace]
  let skipped: [Resolved.Skipped]
  let unused: [AssignmentMap.Pair]
  let uncovered: [Variable]
  let unusedTensors: UnusedTensors
  /// Whether the daemon only planned: no tensor has bytes.
  let isPlan: Bool
  /// The handles of variables by name, made when a name is first looked up.
  private let positions = Lazy<[Name: Int]>()

  init(
    handles: Handles, variables: [Variable], regions: [Region], skipped: [Resolved.Skipped],
    unused: [AssignmentMap.Pair], uncovered: [Variable], unusedTensors: UnusedTensors,
    isPlan: Bool
  ) {
    self.handles = handles
    self.variables = variables
    self.regions = regions
    places = regions.map(\.place)
    self.skipped = skipped
    self.unused = unused
    self.uncovered = uncovered
    self.unusedTensors = unusedTensors
    self.isPlan = isPlan
  }

  /// Bytes of a region, for a tensor that refers to this answer.
  @_lifetime(borrow tensor)
  func bytes(_ place: Handles.Place, keptBy tensor: borrowing Tensor) -> RawSpan {
    let mapped = places[place.region]
    return mapped.bytes(place.range, keptBy: tensor)
  }

  /// The position of the handle of a variable; nil if it got none.
  func position(of variable: Name) -> Int? {
    let positions = positions.value {
      var made: [Name: Int] = [:]
      made.reserveCapacity(handles.count)
      for position in 0..<handles.count {
        made[variables[handles.variable(position)].name] = position
      }
      return made
    }
    return positions[variable]
  }
}

/// The replies to one `Resolve`, gathered until the last one is there.
struct Replies {
  private var reply = ResolveReply()
  /// For each region, the arena's file if it is one.
  private var arenas: [File?] = []
  private let isPlan: Bool
  private var hasBegun = false

  init(_ question: Question) {
    isPlan = question.options.planOnly
  }

  /// Forgets the replies to an earlier try.
  mutating func restart() {
    guard hasBegun else { return }
    reply = ResolveReply()
    arenas = []
    hasBegun = false
  }

  /// Adds a reply; returns what the call opened if it says so.
  mutating func add(
    _ bytes: RawSpan, _ scratch: Scratch, _ files: [File]
  ) throws(MessageError) -> OpenReply? {
    hasBegun = true
    try reply.add(unpacking: bytes, scratch, isPlan: isPlan)
    for index in arenas.count..<reply.regions.count {
      guard case .arena(let position) = reply.regions[index].place else {
        arenas.append(nil)
        continue
      }
      guard files.indices.contains(position) else {
        throw .malformed("a region on descriptor \(position) of \(files.count)")
      }
      arenas.append(files[position])
    }
    return reply.takeCheckpoint()
  }

  /// Checks what the daemon sent and maps it.
  func mapped(_ question: Question, in checkpoint: Checkpoint) throws(WarmstartError) -> Resolved {
    guard !isPlan || reply.regions.isEmpty else { throw broken("regions for what is only planned") }
    let extents: [Range<Int>]
    do {
      extents = try reply.handles.extents(
        variableCount: question.variables.count, regionCount: isPlan ? 1 : arenas.count)
    } catch {
      throw broken("\(error)")
    }
    var mapped: [Region] = isPlan ? [.planned] : []
    mapped.reserveCapacity(arenas.count)
    for index in arenas.indices {
      mapped.append(
        try Region(
          reply.regions[index], arenas[index], extents[index], in: checkpoint, question.options))
    }
    var skipped: [Resolved.Skipped] = []
    for missing in reply.report.skipped {
      let variable = try element(missing.variable, of: question.variables, "a skipped variable")
      skipped.append(
        Resolved.Skipped(
          variable: variable, tensor: missing.tensor, storedShape: missing.storedShape))
    }
    var unused: [AssignmentMap.Pair] = []
    for position in reply.report.unused {
      unused.append(try element(position, of: question.map.pairs, "an unused pair"))
    }
    var uncovered: [Variable] = []
    for position in reply.report.uncovered {
      uncovered.append(try element(position, of: question.variables, "an uncovered variable"))
    }
    return Resolved(
      checkpoint: checkpoint,
      answer: Answer(
        handles: reply.handles, variables: question.variables, regions: mapped, skipped: skipped,
        unused: unused, uncovered: uncovered, unusedTensors: reply.report.unusedTensors,
        isPlan: isPlan))
  }

  private func element<Element>(
    _ position: Int, of all: [Element], _ what: String
  ) throws(WarmstartError) -> Element {
    guard all.indices.contains(position) else { throw broken("\(what) \(position)") }
    return all[position]
  }

  private func broken(_ what: String) -> WarmstartError {
    WarmstartError(.connection, "malformed reply: \(what)")
  }
}
