import Kernel
import Messages
import SystemPackage
public import TensorModel
import Wire

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
    /// Slices may be described by strides instead of being copied together.
    public var strides = false
    /// Whether this process may write: what it writes is its own copy, page by page.
    public var copyOnWrite = false

    /// Makes the usual options.
    public init() {}
  }

  /// A variable that got nothing because the checkpoint lacks its tensor.
  public struct Skipped: Sendable, Hashable {
    /// The variable's name.
    public let variable: Name
    /// The tensor that is missing.
    public let tensor: Name
  }

  /// The variables that got bytes, in the order in which they were declared.
  public internal(set) var tensors: [Tensor] = []
  /// The variables that were skipped.
  public internal(set) var skipped: [Skipped] = []
  /// The pairs of the map that matched no variable.
  public internal(set) var unused: [AssignmentMap.Pair] = []

  /// Finds the bytes of a variable.
  public subscript(variable: Name) -> Tensor? {
    tensors.first { $0.variable.name == variable }
  }
}

extension Checkpoint {
  /// Resolves an assignment map as `init_from_checkpoint` does and maps what the variables need.
  ///
  /// `variables` are all variables of the trainer, partitions one by one (`Partitioner` makes them).
  /// Nothing is given unless everything can be; the error lists all problems. Waits while the daemon
  /// reads what nobody asked for before.
  public func resolve(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolved.Options = .init(),
    timeout: Duration? = nil
  ) throws(WarmstartError) -> Resolved {
    var wanted = ResolveRequest.Options()
    wanted.alignment = options.alignment
    wanted.sealed = options.sealed
    wanted.skipMissing = options.skipMissing
    wanted.strides = options.strides
    let features = (options.sealed ? ["sealed"] : []) + (options.strides ? ["strides"] : [])
    var answer = ResolveAnswer()
    try call(.resolve, until: Deadline(timeout), starting: { answer = ResolveAnswer() }) {
      reference in
      Client.PreparedCall(features: features) { frame, scratch in
        frame.begin(
          ResolveRequest(
            checkpoint: reference, map: map, variables: variables, options: wanted), scratch)
      }
    } each: { bytes, scratch, files throws(MessageError) in
      let reply = try ResolveReply(unpacking: bytes, scratch)
      try answer.add(reply, files)
      return reply.checkpoint
    }
    return try answer.mapped(map, variables, in: self, options)
  }
}

/// The replies to one `Resolve`, gathered.
private struct ResolveAnswer {
  var regions: [UInt64: (region: ResolveReply.Region, file: File?)] = [:]
  var handles: [ResolveReply.Handle] = []
  var skipped: [ResolveReply.Skipped] = []
  var unused: [Int] = []

  mutating func add(_ reply: ResolveReply, _ files: [File]) throws(MessageError) {
    for region in reply.regions {
      guard case .arena(let position) = region.place else {
        regions[region.id] = (region, nil)
        continue
      }
      guard files.indices.contains(position) else {
        throw .malformed("a region on descriptor \(position) of \(files.count)")
      }
      regions[region.id] = (region, files[position])
    }
    handles += reply.handles
    skipped += reply.skipped
    unused += reply.unused
  }

  /// Checks what the daemon sent and maps it.
  func mapped(
    _ map: AssignmentMap, _ variables: [Variable], in checkpoint: Checkpoint,
    _ options: Resolved.Options
  ) throws(WarmstartError) -> Resolved {
    var extents: [UInt64: Range<Int>] = [:]
    for handle in handles where handle.byteCount > 0 {
      let (end, overflow) = handle.offset.addingReportingOverflow(try handle.extent())
      guard !overflow else { throw broken("a handle beyond all memory") }
      let known = extents[handle.region] ?? handle.offset..<end
      extents[handle.region] =
        min(known.lowerBound, handle.offset)..<max(known.upperBound, end)
    }
    var mapped: [UInt64: Region] = [:]
    for (id, (region, file)) in regions {
      mapped[id] = try Region(region, file, extents[id] ?? 0..<0, in: checkpoint, options)
    }
    var resolved = Resolved()
    for handle in handles {
      guard variables.indices.contains(handle.variable), let region = mapped[handle.region] else {
        throw broken("a handle for variable \(handle.variable) in region \(handle.region)")
      }
      resolved.tensors.append(try Tensor(handle, variables[handle.variable], region))
    }
    for variable in skipped {
      guard variables.indices.contains(variable.variable) else {
        throw broken("a skipped variable \(variable.variable)")
      }
      resolved.skipped.append(
        Resolved.Skipped(variable: variables[variable.variable].name, tensor: variable.tensor))
    }
    for position in unused {
      guard map.pairs.indices.contains(position) else { throw broken("an unused pair \(position)") }
      resolved.unused.append(map.pairs[position])
    }
    return resolved
  }

  private func broken(_ what: String) -> WarmstartError {
    WarmstartError(.connection, "the daemon's answer makes no sense: \(what)")
  }
}

extension ResolveReply.Handle {
  /// The bytes from the first element to the end of the last one.
  fileprivate func extent() throws(WarmstartError) -> Int {
    guard !strides.isEmpty else { return byteCount }
    var last = dtype.byteCount ?? 1
    for (length, stride) in zip(shape.lengths, strides) {
      let (step, overflow) = max(0, length - 1).multipliedReportingOverflow(by: stride)
      let (next, overflows) = last.addingReportingOverflow(step)
      guard !overflow, !overflows, stride >= 0 else {
        throw WarmstartError(.connection, "the daemon's answer makes no sense: strides \(strides)")
      }
      last = next
    }
    return last
  }
}
