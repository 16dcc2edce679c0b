import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
public import WarmstartTensorModel
import WarmstartWire

/// What a resolved assignment map gives: each variable's bytes, in shared memory.
public struct Resolved: Sendable {
  /// How the bytes are wanted.
  public struct Options: Sendable, Hashable {
    /// Every address is a multiple of this power of two, at most 4096; 0 for the element's size.
    ///
    /// TensorFlow, JAX and DLPack need 64.
    public var alignment = 0
    /// Only bytes that can never change: arenas, never files.
    public var sealed = false
    /// Variables whose tensor is missing are skipped and reported instead of failing the call.
    public var skipMissing = false
    /// Variables whose tensor has another shape are skipped and reported instead of failing the call.
    ///
    /// Another dtype fails the call all the same: DTYPE_MISMATCH.
    public var skipMismatched = false
    /// What TensorFlow accepts in silence does not fail the call: a pair that matches no variable
    /// (PAIR_UNUSED), a map that assigns nothing (NOTHING_ASSIGNED).
    public var lenient = false
    /// A variable that no pair matches fails the call: VARIABLE_NOT_COVERED.
    public var requireAll = false
    /// Slices may be described by strides instead of being copied together.
    public var strides = false
    /// The map names tensors by what the variables were called, as TensorFlow's `warm_start` does, in a
    /// checkpoint that was saved of objects (TF2), instead of by its keys.
    public var objectNames = false
    /// What is needed is read from the files again and verified, also if the daemon has done so before.
    public var readAgain = false
    /// `unusedTensors` has the first names of the tensors that no variable gets anything of.
    public var namesUnusedTensors = false
    /// `Tensor.writable()` makes copies that this process may write.
    public var copyOnWrite = false
    /// Nothing is read, made or mapped: the tensors only say what would be assigned.
    ///
    /// What the index shows to be wrong fails the call as usual. `Tensor.byteCount` is 0 for strings that
    /// would be made into an arena.
    public var planOnly = false

    /// Makes the usual options.
    public init() {}
  }

  /// A variable that got nothing because its tensor is missing or has another shape.
  public struct Skipped: Sendable, Hashable {
    /// The variable, whose shape says what was expected.
    public let variable: Variable
    /// The tensor that the map has for it.
    public let tensor: Name
    /// The shape of the tensor, which is not the variable's; nil if the checkpoint lacks the tensor.
    public let storedShape: Shape?
  }

  /// The checkpoint that the bytes come from, leased as long as this value lives.
  public let checkpoint: Checkpoint
  let answer: Answer

  /// The variables that got bytes, in the order in which they were declared.
  public var tensors: Tensors { Tensors(answer) }
  /// The variables that were skipped.
  public var skipped: [Skipped] { answer.skipped }
  /// The pairs of the map that matched no variable; none unless that was allowed by `Options.lenient`.
  public var unused: [AssignmentMap.Pair] { answer.unused }
  /// The variables that no pair of the map matched, in the order in which they were declared.
  public var uncovered: [Variable] { answer.uncovered }
  /// How many tensors of the checkpoint no variable got anything from.
  public var unusedTensorCount: Int { answer.unusedTensors.count }
  /// The first names of these, in the order of their bytes: at most 16, and none unless
  /// `Options.namesUnusedTensors` asks for them.
  public var unusedTensors: [Name] {
    (0..<answer.unusedTensors.names.count).map { answer.unusedTensors.names[$0] }
  }
  /// How many variables were declared: those in `tensors`, `skipped` and `uncovered` together.
  public var declaredCount: Int { tensors.count + skipped.count + uncovered.count }

  /// Finds the bytes of a variable.
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
  /// This is TensorFlow's `init_from_checkpoint(path, map)`: `open` says how the path is understood,
  /// `Checkpoint.resolve` what becomes of the map; errors are those of both.
  public func resolve(
    _ path: String, assigning map: AssignmentMap, to variables: [Variable],
    options: Resolved.Options = .init(), timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    let deadline = Deadline(timeout)
    let files = try LocatedFiles(path)
    let question = try Question(map, variables, options)
    var replies = Replies(question)
    var opened: OpenReply?
    let session = try WarmstartError.calling(about: files.path) { () throws(WarmstartError) in
      try call(
        .resolve, features: question.features, until: deadline
      ) { session throws(SessionError) in
        replies = Replies(question)
        opened = nil
        let (reference, passed) = try files.reference(on: session, until: deadline)
        question.write(about: reference, to: &session.connection.outgoing)
        return passed
      } read: { bytes, scratch, files throws(MessageError) in
        if let reply = try replies.add(bytes, scratch, files) { opened = reply }
      }
    }
    let checkpoint = try Checkpoint(files, opened, self, session)
    return try replies.mapped(question, in: checkpoint)
  }
}

extension Checkpoint {
  /// Resolves an assignment map as `init_from_checkpoint` does and maps what the variables need.
  ///
  /// `variables` are all variables of the trainer, partitions one by one (`Partitioner` makes them).
  /// Nothing is given unless everything can be; the error lists all problems. Waits while the daemon
  /// reads what nobody asked for before.
  public func resolve(
    assigning map: AssignmentMap, to variables: [Variable], options: Resolved.Options = .init(),
    timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    let question = try Question(map, variables, options)
    var replies = Replies(question)
    try call(
      .resolve, features: question.features, until: Deadline(timeout),
      starting: { replies = Replies(question) }
    ) { reference, frame, _ in
      question.write(about: reference, to: &frame)
    } read: { bytes, scratch, files throws(MessageError) in
      try replies.add(bytes, scratch, files)
    }
    return try replies.mapped(question, in: self)
  }
}
