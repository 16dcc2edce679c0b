import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
public import WarmstartTensorModel
import WarmstartWire

/// The result of an assignment map: each variable's bytes, in shared memory.
public struct Resolved: Sendable {
  /// How a map is resolved, and how the bytes lie in memory.
  public struct Options: Sendable, Hashable {
    /// Every address is a multiple of this power of two, at most 4096; 0 for the element's size.
    ///
    /// TensorFlow, JAX and DLPack need 64.
    public var alignment = 0
    /// All bytes are in arenas, which can never change; none are in files.
    public var sealed = false
    /// Variables whose tensor is missing are skipped and reported instead of failing the call.
    public var skipMissing = false
    /// Variables whose tensor has another shape are skipped and reported instead of failing the call.
    ///
    /// Another dtype fails the call all the same: DTYPE_MISMATCH.
    public var skipMismatched = false
    /// A pair that matches no variable, or a map that assigns nothing, does not fail the call.
    ///
    /// TensorFlow accepts both in silence; without this option they are PAIR_UNUSED and
    /// NOTHING_ASSIGNED.
    public var lenient = false
    /// A variable that no pair matches fails the call: VARIABLE_NOT_COVERED.
    public var requireAll = false
    /// Slices may be described by strides instead of being copied together.
    public var strides = false
    /// The keys of the map are names that variables had in the program that saved the checkpoint.
    ///
    /// For checkpoints of TF2, as in TensorFlow's `warm_start`; without this option they are the
    /// checkpoint's own keys.
    public var objectNames = false
    /// The daemon reads the files again and verifies them, even if it has done so before.
    public var readAgain = false
    /// `unusedTensors` lists the first names of tensors that initialize no variable.
    public var namesUnusedTensors = false
    /// Whether this process may write: what it writes is its own copy, page by page.
    public var copyOnWrite = false
    /// The daemon only plans: the tensors say what would be assigned, and have no bytes.
    ///
    /// A problem that the index shows fails the call as usual. `Tensor.byteCount` is 0 for strings that
    /// would be copied into an arena.
    public var planOnly = false

    /// Makes the default options, which all are off.
    public init() {}
  }

  /// A variable that got no bytes because its tensor is missing or has another shape.
  public struct Skipped: Sendable, Hashable {
    /// The variable with the shape that was expected.
    public let variable: Variable
    /// The tensor that the map assigns to the variable.
    public let tensor: Name
    /// The shape of the tensor, which differs from the variable's; nil if the tensor is missing.
    public let storedShape: Shape?
  }

  /// The checkpoint that the bytes are of, leased as long as this value lives.
  public let checkpoint: Checkpoint
  /// The variables that got bytes, in the order in which they were declared.
  public let tensors: Tensors
  /// The variables that were skipped.
  public let skipped: [Skipped]
  /// The pairs of the map that matched no variable; empty unless `Options.lenient` allows them.
  public let unused: [AssignmentMap.Pair]
  /// The variables that no pair of the map matched, in the order in which they were declared.
  public let uncovered: [Variable]
  /// How many tensors of the checkpoint no variable got anything of.
  public let unusedTensorCount: Int
  fileprivate let unusedNames: NameList
  /// The first names of the unused tensors, in the order of their bytes: at most 16, and none unless
  /// `Options.namesUnusedTensors` asks for them.
  public var unusedTensors: [Name] { (0..<unusedNames.count).map { unusedNames[$0] } }
  /// How many variables were declared: those in `tensors`, `skipped` and `uncovered` together.
  public var declaredCount: Int { tensors.count + skipped.count + uncovered.count }

  /// Finds the tensor of a variable.
  ///
  /// - Parameter variable: The name of the variable.
  /// - Returns: The tensor; nil if the variable got no bytes.
  public subscript(variable: Name) -> Tensor? { tensors[variable] }
}

extension Resolved.Skipped: CustomStringConvertible {
  /// The variable, and what keeps it from its tensor.
  public var description: String {
    guard let storedShape else { return "\(variable.name) (no tensor \(tensor))" }
    let shape = variable.partition?.fullShape ?? variable.shape
    return
      "\(variable.name) of shape \(shape.map(\.description) ?? "?") (tensor \(tensor) is \(storedShape))"
  }
}

extension Client {
  /// Opens a checkpoint and resolves an assignment map in it, in one call to the daemon.
  ///
  /// This is TensorFlow's `init_from_checkpoint(path, map)`.
  ///
  /// - Parameters:
  ///   - path: The path of the checkpoint, as `open` takes it.
  ///   - map: The assignment map.
  ///   - variables: All variables of the trainer, partitions one by one.
  ///   - options: How to resolve the map.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: A tensor for each variable that the map assigns; and the checkpoint, to resolve more maps.
  /// - Throws: `WarmstartError` with the reasons of `open` and of `Checkpoint.resolve`.
  public func resolve(
    _ path: String, assigning map: AssignmentMap, to variables: [Variable],
    options: Resolved.Options = .init(), timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    let deadline = Deadline(timeout)
    let files = try LocatedFiles(path)
    let question = try Question(map, variables, options)
    var answer = Answer(question)
    var opened: OpenReply?
    let session = try WarmstartError.calling(about: files.path) { () throws(WarmstartError) in
      try call(.resolve, until: deadline) { session throws(SessionError) in
        answer = Answer(question)
        opened = nil
        let (reference, passed) = try files.reference(on: session, until: deadline)
        return question.prepared(reference, passed)
      } each: { bytes, scratch, files throws(MessageError) in
        if let reply = try answer.add(bytes, scratch, files) { opened = reply }
      }
    }
    let checkpoint = try Checkpoint(files, opened, self, session)
    return try answer.mapped(question, in: checkpoint)
  }
}

extension Checkpoint {
  /// Resolves an assignment map as `init_from_checkpoint` does and maps what the variables need.
  ///
  /// Either all variables that the map assigns get their bytes, or the call fails with a list of all
  /// problems. Waits while the daemon reads tensors that are not warm yet.
  ///
  /// - Parameters:
  ///   - map: The assignment map.
  ///   - variables: All variables of the trainer, partitions one by one (`Partitioner` makes them).
  ///   - options: How to resolve the map.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: A tensor for each variable that the map assigns.
  /// - Throws: `WarmstartError` with the reason `tensorNotFound`, `ambiguousName`, `scopeOnly`,
  ///   `shapeMismatch`, `dtypeMismatch`, `slicesDiffer`, `pairUnused`, `nothingAssigned` or
  ///   `variableNotCovered` if the map does not fit; `slicesIncomplete`, `slicesOverlap`,
  ///   `checksumMismatch`, `corrupt` or `truncated` for a damaged checkpoint; `checkpointChanged` if its
  ///   files changed; `invalidRequest`, `unsupported`, `quota`, `budget`, `system`, `deadline` or
  ///   `connection`.
  public func resolve(
    assigning map: AssignmentMap, to variables: [Variable], options: Resolved.Options = .init(),
    timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    let question = try Question(map, variables, options)
    var answer = Answer(question)
    try call(.resolve, until: Deadline(timeout), starting: { answer = Answer(question) }) {
      reference, files in
      question.prepared(reference, files)
    } each: { bytes, scratch, files throws(MessageError) in
      try answer.add(bytes, scratch, files)
    }
    return try answer.mapped(question, in: self)
  }
}

/// What one `Resolve` asks for.
private struct Question {
  let map: AssignmentMap
  let variables: [Variable]
  let options: Resolved.Options
  private let list: VariableList

  /// Throws INVALID_REQUEST for a variable without a name, or a partition that no message can describe.
  init(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolved.Options
  ) throws(WarmstartError) {
    self.map = map
    self.variables = variables
    self.options = options
    list = VariableList(variables)
    guard UInt32(exactly: options.alignment) != nil else {
      throw WarmstartError(
        .invalidRequest,
        "alignment \(options.alignment), expected a power of two up to \(Alignment.maximum), or 0")
    }
    if let nameless = variables.firstIndex(where: { $0.name.bytes.isEmpty }) {
      throw WarmstartError(.invalidRequest, "variable \(nameless), counted from 0, has no name")
    }
    guard !list.hasNoPartitions else { return }
    for index in variables.indices {
      guard let partition = variables[index].partition else { continue }
      guard partition.offset.count == partition.fullShape.rank else {
        throw WarmstartError(
          .invalidRequest,
          "variable \(variables[index].name) is at offset \(partition.offset) of "
            + "\(partition.fullName), whose shape is \(partition.fullShape)")
      }
    }
  }

  func prepared(_ reference: CheckpointReference, _ files: [File]) -> Client.PreparedCall {
    var wanted = ResolveRequest.Options()
    wanted.alignment = options.alignment
    wanted.sealed = options.sealed
    if options.skipMissing { wanted.resolution.insert(.skipMissing) }
    if options.skipMismatched { wanted.resolution.insert(.skipMismatched) }
    if options.lenient { wanted.resolution.insert(.lenient) }
    if options.requireAll { wanted.resolution.insert(.requireAll) }
    wanted.strides = options.strides
    wanted.objectNames = options.objectNames
    wanted.readAgain = options.readAgain
    wanted.namesUnusedTensors = options.namesUnusedTensors
    wanted.planOnly = options.planOnly
    let request = ResolveRequest(
      checkpoint: reference, map: map, variables: list, options: wanted)
    var features: [String] = []
    if options.sealed { features.append("sealed") }
    if options.strides { features.append("strides") }
    if options.objectNames { features.append("object_names") }
    if options.readAgain { features.append("read_again") }
    if options.requireAll { features.append("require_all") }
    if options.planOnly { features.append("plan_only") }
    return Client.PreparedCall(files: files, features: features) { frame, scratch in
      frame.begin(request, scratch)
    }
  }
}

/// The replies to one `Resolve`, gathered.
private struct Answer {
  /// A region, and the arena's file if it is one.
  private struct Place {
    let region: ResolveReply.Region
    let file: File?
  }

  private var places: [Place] = []
  private var handles: Handles
  private var report = ResolveReply.Report()

  init(_ question: Question) {
    handles = Handles(isPlan: question.options.planOnly)
  }

  /// Adds a reply; returns what the call opened if it says so.
  mutating func add(
    _ bytes: RawSpan, _ scratch: Scratch, _ files: [File]
  ) throws(MessageError) -> OpenReply? {
    let reply = try ResolveReply(unpacking: bytes, scratch, after: handles)
    handles = reply.handles
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
    let isPlan = question.options.planOnly
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
      checkpoint: checkpoint, tensors: Tensors(handles, question.variables, mapped),
      skipped: skipped, unused: unused, uncovered: uncovered,
      unusedTensorCount: report.unusedTensors.count,
      unusedNames: report.unusedTensors.names)
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
