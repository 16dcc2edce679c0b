internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// The request of `Resolve`: an assignment map, and the variables that it may initialize.
package struct ResolveRequest: Sendable {
  /// What the client asks of the handles.
  package struct Options: Sendable, Hashable {
    /// Every handle's address is a multiple of this power of two; 0 for the element's size.
    package var alignment = 0
    /// Only regions whose bytes can never change.
    package var sealed = false
    /// How the map is resolved.
    package var resolution = Resolution.Options(rawValue: 0)
    /// The client accepts handles with strides.
    package var strides = false
    /// The map names tensors by what the object graph says that their variables were called.
    package var objectNames = false
    /// The daemon reads and verifies what is needed again, even if it has done so before.
    package var readAgain = false
    /// The answer has the first names of the tensors that no variable uses.
    package var namesUnusedTensors = false
    /// Nothing is read or made; the answer has handles without places.
    package var planOnly = false
    /// Replies say how far the call is while it waits.
    package var progress = false
    /// The character that ends a scope's name beside `/`; nil for the one of the format.
    package var separator: UInt8?

    package init() {}
  }

  package var checkpoint: CheckpointReference
  package var map: AssignmentMap
  package var variables: VariableList
  package var options: Options

  package init(
    checkpoint: CheckpointReference, map: AssignmentMap, variables: VariableList, options: Options
  ) {
    self.checkpoint = checkpoint
    self.map = map
    self.variables = variables
    self.options = options
  }
}

extension ResolveRequest {
  /// The parts of a request that is written as usual: the checkpoint, and all that is asked of it.
  ///
  /// nil if the bytes do not begin with the checkpoint, or do not parse so far.
  package static func parts(
    of bytes: ArraySlice<UInt8>
  ) -> (checkpoint: Range<Int>, question: Range<Int>)? {
    var reader = FieldReader(bytes.span, at: bytes.startIndex)
    guard let field = try? reader.next(), field.number == 1, case .bytes(let range) = field.value
    else { return nil }
    return (range, reader.position..<bytes.endIndex)
  }

  /// Unpacks the request; all names of a kind share one buffer and all lengths another.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__resolve_request__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    checkpoint = try unsafe CheckpointReference(message.checkpoint, of: message.base, in: bytes)
    map = AssignmentMap([])
    if let pairs = unsafe message.map?.pointee { map = try unsafe AssignmentMap(pairs) }
    variables = VariableList()
    if let columns = unsafe message.variables?.pointee {
      variables = try unsafe ResolveRequest.variables(columns)
    }
    if let rows = unsafe message.gathers?.pointee { try unsafe variables.gather(rows) }
    if let rows = unsafe message.transposes?.pointee { try unsafe variables.transpose(rows) }
    options = Options()
    options.alignment = unsafe Int(message.alignment)
    options.sealed = unsafe message.sealed != 0
    if unsafe message.skip_missing != 0 { options.resolution.insert(.skipMissing) }
    if unsafe message.lenient != 0 { options.resolution.insert(.lenient) }
    if unsafe message.skip_mismatched != 0 { options.resolution.insert(.skipMismatched) }
    if unsafe message.require_all != 0 { options.resolution.insert(.requireAll) }
    if unsafe message.cast != 0 { options.resolution.insert(.cast) }
    options.strides = unsafe message.strides != 0
    options.objectNames = unsafe message.object_names != 0
    options.readAgain = unsafe message.read_again != 0
    options.namesUnusedTensors = unsafe message.name_unused_tensors != 0
    options.planOnly = unsafe message.plan_only != 0
    options.progress = unsafe message.progress != 0
    let separator = Array(unsafe text(message.separator).utf8)
    guard separator.count <= 1, separator.allSatisfy({ $0 < 0x80 }) else {
      throw .malformed("a separator that is not one ASCII character")
    }
    options.separator = separator.first
  }

  private static func variables(
    _ message: Warmstart__V1__Variables
  ) throws(MessageError) -> VariableList {
    let dtypes = try unsafe WarmstartMessages.dtypes(
      message.dtypes, message.n_dtypes, of: "a variable")
    let names = try unsafe NameList(message.names, count: dtypes.count, of: "variables")
    let ranks = unsafe column(message.ranks, message.n_ranks)
    try expect(ranks.count, dtypes.count, of: "variables", "ranks")
    let shapes = try unsafe WarmstartMessages.shapes(
      column(message.lengths, message.n_lengths), ranks: ranks, areKnown: false,
      of: "variables")
    var variables = VariableList(names, dtypes, shapes, ranks: ranks)
    for index in 0..<(unsafe message.n_outside_store) {
      let position = unsafe Int(message.outside_store[index])
      guard position < variables.count else { throw .malformed("no variable \(position)") }
      variables.takeOutOfStore(position)
    }
    if let places = unsafe message.partitions?.pointee {
      try unsafe variables.place(places)
    }
    return variables
  }
}

extension VariableList {
  /// Says of some variables that they are partitions.
  fileprivate mutating func place(_ message: Warmstart__V1__Partitions) throws(MessageError) {
    let count = unsafe message.n_variables
    let names = try unsafe NameList(message.full_names, count: count, of: "partitions")
    let ranks = unsafe column(message.ranks, message.n_ranks)
    try expect(ranks.count, count, of: "partitions", "ranks")
    let shapes = try unsafe WarmstartMessages.shapes(
      column(message.full_lengths, message.n_full_lengths), ranks: ranks, of: "partitions")
    let offsets = try unsafe WarmstartMessages.shapes(
      column(message.offsets, message.n_offsets), ranks: ranks, of: "partitions")
    for index in 0..<count {
      let position = unsafe Int(message.variables[index])
      guard position < self.count else { throw .malformed("no variable \(position)") }
      place(
        position,
        Partition(
          of: names[index], fullShape: shapes[index], offset: Array<Int>(offsets[index].lengths)))
    }
  }
}

extension AssignmentMap {
  fileprivate init(_ message: Warmstart__V1__AssignmentMap) throws(MessageError) {
    let count = unsafe message.n_targets
    let keys = try unsafe NameList(message.keys, count: count, of: "a map")
    try unsafe expect(message.n_name_counts, count, of: "a map", "counts")
    let total = unsafe message.names.map { unsafe $0.pointee.n_lengths } ?? 0
    let names = try unsafe NameList(message.names, count: total, of: "a map")
    self.init([])
    pairs.reserveCapacity(count)
    var next = 0
    for position in 0..<count {
      let nameCount = unsafe Int(message.name_counts[position])
      guard nameCount <= names.count - next else {
        throw .malformed("a map with fewer names than its pairs have")
      }
      let target = try unsafe Target(
        message.targets[position], names, next..<next + nameCount)
      pairs.append(Pair(keys[position], target))
      next += nameCount
    }
    guard next == names.count else {
      throw .malformed("a map with more names than its pairs have")
    }
  }
}

extension AssignmentMap {
  // The numbers of the kinds of targets on the wire.
  static let nameKind = WARMSTART__V1__ASSIGNMENT_MAP__TARGET__NAME.rawValue
  static let variableKind = WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLE.rawValue
  static let variablesKind = WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLES.rawValue
}

extension AssignmentMap.Target {
  fileprivate init(
    _ kind: UInt32, _ names: NameList, _ range: Range<Int>
  ) throws(MessageError) {
    switch Warmstart__V1__AssignmentMap__Target(rawValue: kind) {
    case WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLES:
      self = .variables(range.map { names[$0] })
    case WARMSTART__V1__ASSIGNMENT_MAP__TARGET__NAME where range.count == 1:
      self = .name(names[range.lowerBound])
    case WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLE where range.count == 1:
      self = .variable(names[range.lowerBound])
    default: throw .malformed("a pair of the map with \(range.count) targets of kind \(kind)")
    }
  }
}
