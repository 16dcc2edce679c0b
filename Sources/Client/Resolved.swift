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
    /// Variables whose tensor has another shape are skipped and reported instead of failing the
    /// call.
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
    /// `Tensor.writable()` makes copies that this process may write.
    public var copyOnWrite = false
    /// The daemon only plans: the tensors say what would be assigned, and have no bytes.
    ///
    /// A problem that the index shows fails the call as usual. `Tensor.byteCount` is 0 for strings
    /// that would be copied into an arena.
    public var planOnly = false
    /// The ASCII character that ends a scope's name, beside `/`: `.` in `model.layers.`; nil for
    /// the one of the checkpoint's format.
    public var separator: Character?
    /// Numbers of another floating-point type than their variable's are cast to it, rounded to
    /// nearest.
    ///
    /// Once for all jobs, into an arena; between `float16`, `bfloat16`, `float32` and `float64`.
    /// Without this option another type is DTYPE_MISMATCH.
    public var cast = false
    /// The axes of variables that have those of their tensor in another order: for each axis of the
    /// variable the tensor's axis.
    ///
    /// `[1, 0]` transposes a matrix. The name of a partitioned variable stands for all of its
    /// parts. With `strides`, bytes in files are not copied for it.
    public var transpose: [Name: [Int]] = [:]

    /// Makes the default options: none is set.
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

  /// The checkpoint that the bytes come from, leased as long as this value lives.
  public let checkpoint: Checkpoint
  let answer: Answer

  /// The variables that got bytes, in the order in which they were declared.
  public var tensors: Tensors { Tensors(answer) }
  /// The variables that were skipped.
  public var skipped: [Skipped] { answer.rest?.skipped ?? [] }
  /// The pairs of the map that matched no variable; empty unless `Options.lenient` allows them.
  public var unused: [AssignmentMap.Pair] { answer.rest?.unused ?? [] }
  /// The variables that no pair of the map matched, in the order in which they were declared.
  public var uncovered: [Variable] { answer.rest?.uncovered ?? [] }
  /// How many tensors of the checkpoint no variable got anything from.
  public var unusedTensorCount: Int { answer.unusedTensorCount }
  /// The first names of the unused tensors, in the order of their bytes: at most 16, and none
  /// unless `Options.namesUnusedTensors` asks for them.
  public var unusedTensors: [Name] {
    let names = answer.rest?.unusedTensors ?? NameList()
    return (0..<names.count).map { names[$0] }
  }
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
  ///   - expectation: What the checkpoint's files must be; nil for anything.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: A tensor for each variable that the map assigns; and the checkpoint, to resolve
  ///   more maps.
  /// - Throws: `WarmstartError` with the reasons of `open` and of `Checkpoint.resolve`.
  public func resolve(
    _ path: String, assigning map: AssignmentMap, to variables: [Variable],
    options: Resolved.Options = .init(), expecting expectation: Expectation? = nil,
    timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    let deadline = Deadline(timeout)
    let source = try CheckpointSource(path, expecting: expectation)
    let question = try Question(map, variables, options)
    var replies = Replies(question)
    var opened: OpenReply?
    let session = try WarmstartError.calling(about: source.path) { () throws(WarmstartError) in
      try call(
        .resolve, features: question.features + source.features, until: deadline
      ) { session throws(SessionError) in
        replies.restart()
        opened = nil
        let (reference, passed) = try source.reference(on: session, until: deadline)
        session.connection.compose { frame, _ in question.write(about: reference, to: &frame) }
        return passed
      } read: { bytes, scratch, files throws(MessageError) in
        if let reply = try replies.add(bytes, scratch, files) { opened = reply }
      }
    }
    let checkpoint = try Checkpoint(source, opened, self, session)
    return try replies.mapped(question, in: checkpoint)
  }
}

extension Checkpoint {
  /// Resolves an assignment map as `init_from_checkpoint` does and maps what the variables need.
  ///
  /// Either all variables that the map assigns get their bytes, or the call fails with a list of
  /// all problems. Waits while the daemon reads tensors that are not warm yet.
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
  ///   `checksumMismatch`, `corrupt` or `truncated` for a damaged checkpoint; `checkpointChanged`
  ///   if its files changed; `invalidRequest`, `unsupported`, `quota`, `budget`, `system`,
  ///   `deadline` or `connection`.
  public func resolve(
    assigning map: AssignmentMap, to variables: [Variable], options: Resolved.Options = .init(),
    timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    let question = try Question(map, variables, options)
    var replies = Replies(question)
    try call(
      .resolve, features: question.features, until: Deadline(timeout),
      starting: { replies.restart() }
    ) { reference, frame, _ in
      question.write(about: reference, to: &frame)
    } read: { bytes, scratch, files throws(MessageError) in
      try replies.add(bytes, scratch, files)
    }
    return try replies.mapped(question, in: self)
  }
}
