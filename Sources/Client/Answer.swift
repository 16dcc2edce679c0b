import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

/// What a map was resolved to, checked and mapped: all tensors of a call refer to it.
///
/// Its constants never change, so a span of a region's memory may live as long as any value that
/// refers to the answer.
final class Answer: Sendable {
  /// What became of the map besides handles; most answers have none of it.
  final class Rest: Sendable {
    let skipped: [Resolved.Skipped]
    let unused: [AssignmentMap.Pair]
    let uncovered: [Variable]
    /// The first names of the unused tensors.
    let unusedTensors: NameList

    init(
      skipped: [Resolved.Skipped], unused: [AssignmentMap.Pair], uncovered: [Variable],
      unusedTensors: NameList
    ) {
      self.skipped = skipped
      self.unused = unused
      self.uncovered = uncovered
      self.unusedTensors = unusedTensors
    }
  }

  let handles: Handles
  /// The variables of the request.
  let variables: [Variable]
  let regions: [Region]
  let rest: Rest?
  let unusedTensorCount: Int
  /// Whether the daemon only planned: no tensor has bytes.
  let isPlan: Bool
  /// The handles of variables by name, made when a name is first looked up; nil for a few handles,
  /// which are searched.
  private let positions: Lazy<[Name: Int]>?

  /// The most handles that are searched one by one; chosen, not tuned.
  private static let searchedCount = 8

  init(
    handles: consuming Handles, variables: [Variable], regions: [Region], rest: Rest?,
    unusedTensorCount: Int, isPlan: Bool
  ) {
    positions = handles.count > Answer.searchedCount ? Lazy() : nil
    self.handles = handles
    self.variables = variables
    self.regions = regions
    self.rest = rest
    self.unusedTensorCount = unusedTensorCount
    self.isPlan = isPlan
  }

  /// Bytes of a region, for a tensor that refers to this answer.
  @_lifetime(borrow tensor)
  func bytes(_ place: Handles.Place, keptBy tensor: borrowing Tensor) -> RawSpan {
    // Only the place is copied, which counts no reference.
    let mapped = regions[place.region].place
    return mapped.bytes(place.range, keptBy: tensor)
  }

  /// The position of the handle of a variable; nil if it got none.
  func position(of variable: Name) -> Int? {
    guard let positions else {
      return (0..<handles.count).last { variables[handles.variable($0)].name == variable }
    }
    let known = positions.value {
      var made: [Name: Int] = [:]
      made.reserveCapacity(handles.count)
      for position in 0..<handles.count {
        made[variables[handles.variable(position)].name] = position
      }
      return made
    }
    return known[variable]
  }
}

/// The replies to one `Resolve`, gathered until the last one is there.
struct Replies {
  private var reply = ResolveReply()
  /// The files of those regions that are arenas, in the regions' order.
  private var arenas: [File] = []
  private var regionCount = 0
  private let isPlan: Bool
  private var hasBegun = false

  init(_ question: borrowing Question) {
    isPlan = question.options.planOnly
  }

  /// Forgets the replies to an earlier try.
  mutating func restart() {
    guard hasBegun else { return }
    reply = ResolveReply()
    arenas = []
    regionCount = 0
    hasBegun = false
  }

  /// Adds a reply; returns what the call opened if it says so.
  mutating func add(
    _ bytes: RawSpan, _ scratch: Scratch, _ files: [File]
  ) throws(MessageError) -> OpenReply? {
    hasBegun = true
    try reply.add(unpacking: bytes, scratch, isPlan: isPlan)
    while regionCount < reply.regionCount {
      if case .arena(let position) = reply.region(regionCount).place {
        guard files.indices.contains(position) else {
          throw .malformed("a region on descriptor \(position) of \(files.count)")
        }
        arenas.append(files[position])
      }
      regionCount += 1
    }
    return reply.takeCheckpoint()
  }

  /// Checks what the daemon sent and maps it.
  mutating func mapped(
    _ question: borrowing Question, in checkpoint: Checkpoint
  ) throws(WarmstartError) -> Resolved {
    guard !isPlan || regionCount == 0 else { throw broken("regions for what is only planned") }
    let extents: Handles.Extents
    do {
      extents = try reply.handles.extents(
        variableCount: question.variables.count, regionCount: isPlan ? 1 : regionCount)
    } catch {
      throw broken("\(error)")
    }
    let options = question.options
    let regions: [Region]
    // Mostly the one region is a file that an earlier answer was in, too.
    if regionCount == 1, !options.sealed, !options.copyOnWrite, let region = reply.firstRegion,
      let known = checkpoint.knownRegion(region, extents[0])
    {
      regions = known
    } else {
      regions = try mappedRegions(extents, options, in: checkpoint)
    }
    let rest = reply.hasDetails ? try rest(of: question) : nil
    return Resolved(
      checkpoint: checkpoint,
      answer: Answer(
        handles: reply.takeHandles(), variables: question.variables, regions: regions, rest: rest,
        unusedTensorCount: reply.unusedTensorCount, isPlan: isPlan))
  }

  /// Maps the regions.
  private func mappedRegions(
    _ extents: borrowing Handles.Extents, _ options: Resolved.Options, in checkpoint: Checkpoint
  ) throws(WarmstartError) -> [Region] {
    guard !isPlan else { return [.planned] }
    var regions: [Region] = []
    regions.reserveCapacity(regionCount)
    var next = 0
    for position in 0..<regionCount {
      let region = reply.region(position)
      var arena: File?
      if case .arena = region.place {
        arena = arenas[next]
        next += 1
      }
      regions.append(try Region(region, arena, extents[position], in: checkpoint, options))
    }
    if regionCount == 1, !options.copyOnWrite { checkpoint.keep(regions, reply.region(0)) }
    return regions
  }

  /// Looks up the variables and pairs that the report names by their positions.
  private func rest(of question: borrowing Question) throws(WarmstartError) -> Answer.Rest {
    let report = reply.report
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
    return Answer.Rest(
      skipped: skipped, unused: unused, uncovered: uncovered,
      unusedTensors: report.unusedTensors.names)
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
