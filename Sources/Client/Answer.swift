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
  let skipped: [Resolved.Skipped]
  let unused: [AssignmentMap.Pair]
  let uncovered: [Variable]
  let unusedTensors: UnusedTensors
  /// The handles of variables by name, made when a name is first looked up.
  private let positions = Monitor<[Name: Int]?>(nil)

  init(
    handles: Handles, variables: [Variable], regions: [Region], skipped: [Resolved.Skipped],
    unused: [AssignmentMap.Pair], uncovered: [Variable], unusedTensors: UnusedTensors
  ) {
    self.handles = handles
    self.variables = variables
    self.regions = regions
    self.skipped = skipped
    self.unused = unused
    self.uncovered = uncovered
    self.unusedTensors = unusedTensors
  }

  /// The position of the handle of a variable; nil if it got none.
  func position(of variable: Name) -> Int? {
    positions.withLock { positions in
      if let known = positions { return known[variable] }
      var made: [Name: Int] = [:]
      made.reserveCapacity(handles.count)
      for position in 0..<handles.count {
        made[variables[handles.variable(position)].name] = position
      }
      positions = made
      return made[variable]
    }
  }
}

/// The replies to one `Resolve`, gathered until the last one is there.
struct Replies {
  /// A region, and the arena's file if it is one.
  private struct Place {
    let region: ResolveReply.Region
    let file: File?
  }

  private var places: [Place] = []
  private var handles = Handles()
  private let isPlan: Bool
  private var report = ResolveReply.Report()

  init(_ question: Question) {
    isPlan = question.options.planOnly
  }

  /// Adds a reply; returns what the call opened if it says so.
  mutating func add(
    _ bytes: RawSpan, _ scratch: Scratch, _ files: [File]
  ) throws(MessageError) -> OpenReply? {
    let reply = try ResolveReply(unpacking: bytes, scratch, isPlan: isPlan)
    handles.append(reply.handles)
    for region in reply.regions {
      guard case .arena(let position) = region.place else {
        places.append(Place(region: region, file: nil))
        continue
      }
      guard files.indices.contains(position) else {
        throw .malformed("a region on descriptor \(position) of \(files.count)")
      }
      places.append(Place(region: region, file: files[position]))
    }
    report.append(reply.report)
    return reply.checkpoint
  }

  /// Checks what the daemon sent and maps it.
  func mapped(_ question: Question, in checkpoint: Checkpoint) throws(WarmstartError) -> Resolved {
    guard !isPlan || places.isEmpty else { throw broken("regions for what is only planned") }
    let extents: [Range<Int>]
    do {
      extents = try handles.extents(
        variableCount: question.variables.count, regionCount: isPlan ? 1 : places.count)
    } catch {
      throw broken("\(error)")
    }
    var mapped: [Region] = isPlan ? [.planned] : []
    mapped.reserveCapacity(places.count)
    for (index, place) in places.enumerated() {
      mapped.append(
        try Region(place.region, place.file, extents[index], in: checkpoint, question.options))
    }
    var skipped: [Resolved.Skipped] = []
    for missing in report.skipped {
      let variable = try element(missing.variable, of: question.variables, "a skipped variable")
      skipped.append(
        Resolved.Skipped(
          variable: variable, tensor: missing.tensor, storedShape: missing.storedShape))
    }
    var unused: [AssignmentMap.Pair] = []
    for position in report.unused {
      unused.append(try element(position, of: question.map.pairs, "an unused pair"))
    }
    var uncovered: [Variable] = []
    for position in report.uncovered {
      uncovered.append(try element(position, of: question.variables, "an uncovered variable"))
    }
    return Resolved(
      checkpoint: checkpoint,
      answer: Answer(
        handles: handles, variables: question.variables, regions: mapped, skipped: skipped,
        unused: unused, uncovered: uncovered, unusedTensors: report.unusedTensors))
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
