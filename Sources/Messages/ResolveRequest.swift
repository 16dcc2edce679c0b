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
    package var resolution: Resolution.Options = []
    /// The client takes handles with strides.
    package var strides = false
    /// The map names tensors by what the object graph says that their variables were called.
    package var objectNames = false
    /// What is needed is read again, whoever has verified it before.
    package var readAgain = false
    /// The answer has the first names of the tensors that nobody uses.
    package var namesUnusedTensors = false
    /// Nothing is read or made; the answer has handles without places.
    package var planOnly = false
    /// Replies say how far the call is while it waits.
    package var progress = false

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
    checkpoint = try unsafe CheckpointReference(message.checkpoint)
    map = AssignmentMap([])
    if let pairs = unsafe message.map?.pointee { map = try unsafe AssignmentMap(pairs) }
    variables = VariableList()
    if let columns = unsafe message.variables?.pointee {
      variables = try unsafe ResolveRequest.variables(columns)
    }
    if let rows = unsafe message.gathers?.pointee { try unsafe variables.gather(rows) }
    options = Options()
    options.alignment = unsafe Int(message.alignment)
    options.sealed = unsafe message.sealed != 0
    if unsafe message.skip_missing != 0 { options.resolution.insert(.skipMissing) }
    if unsafe message.lenient != 0 { options.resolution.insert(.lenient) }
    if unsafe message.skip_mismatched != 0 { options.resolution.insert(.skipMismatched) }
    if unsafe message.require_all != 0 { options.resolution.insert(.requireAll) }
    options.strides = unsafe message.strides != 0
    options.objectNames = unsafe message.object_names != 0
    options.readAgain = unsafe message.read_again != 0
    options.namesUnusedTensors = unsafe message.name_unused_tensors != 0
    options.planOnly = unsafe message.plan_only != 0
    options.progress = unsafe message.progress != 0
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

extension FieldWriter {
  /// Begins a frame whose body is the request.
  ///
  /// The offset of each partition must have as many axes as the full shape.
  package mutating func begin(_ request: ResolveRequest, _ scratch: Scratch) {
    begin(reserving: request.variables.wireByteCount)
    let resolution = request.options.resolution
    prepend(field: 16, request.options.progress ? 1 : 0)
    prepend(field: 15, request.options.planOnly ? 1 : 0)
    if !request.variables.gathers.isEmpty {
      prepend(field: 14) { frame in frame.prepend(request.variables.gathers) }
    }
    prepend(field: 13, request.options.namesUnusedTensors ? 1 : 0)
    prepend(field: 12, resolution.contains(.requireAll) ? 1 : 0)
    prepend(field: 11, resolution.contains(.skipMismatched) ? 1 : 0)
    prepend(field: 10, resolution.contains(.lenient) ? 1 : 0)
    prepend(field: 9, request.options.readAgain ? 1 : 0)
    prepend(field: 8, request.options.objectNames ? 1 : 0)
    prepend(field: 7, request.options.strides ? 1 : 0)
    prepend(field: 6, resolution.contains(.skipMissing) ? 1 : 0)
    prepend(field: 5, request.options.sealed ? 1 : 0)
    prepend(field: 4, UInt64(request.options.alignment))
    prepend(field: 3) { frame in frame.prepend(request.variables) }
    prepend(field: 2) { frame in frame.prepend(request.map) }
    prepend(field: 1) { frame in
      scratch.begin()
      unsafe frame.prepend(&request.checkpoint.message(scratch).pointee.base)
    }
  }

  private mutating func prepend(_ map: AssignmentMap) {
    let pairs = map.pairs
    if pairs.contains(where: \.target.isList) {
      let names = pairs.flatMap(\.target.names)
      prepend(field: 4, names: names.count) { position, body in
        let name = names[position]
        body(name.bytes.span)
      }
    } else {
      prepend(field: 4, names: pairs.count) { position, body in
        switch pairs[position].target {
        case .name(let name), .variable(let name): body(name.bytes.span)
        case .variables: preconditionFailure("no pair has a list")
        }
      }
    }
    prepend(field: 3, count: pairs.count) { UInt32(pairs[$0].target.count) }
    prepend(field: 2, count: pairs.count) { position in
      let kind =
        switch pairs[position].target {
        case .name: WARMSTART__V1__ASSIGNMENT_MAP__TARGET__NAME
        case .variable: WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLE
        case .variables: WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLES
        }
      return kind.rawValue
    }
    prepend(field: 1, names: pairs.count) { position, body in
      let key = pairs[position].key
      body(key.bytes.span)
    }
  }

  private mutating func prepend(_ variables: VariableList) {
    let count = variables.count
    if !variables.hasNoPartitions {
      prepend(field: 6) { frame in frame.prepend(partitionsOf: variables) }
    }
    if variables.hasOutsideStore {
      let outside = (0..<count).filter { !variables.isInStore($0) }.map { UInt32($0) }
      prepend(field: 5, column: outside.span)
    }
    prepend(field: 4, column: variables.shapes.lengths.span)
    prepend(field: 3, count: count) { position in
      variables.isRankKnown(position) ? Int32(variables.shapes.range(position).count) : -1
    }
    prepend(field: 2, count: count) { UInt32(bitPattern: variables.dtype($0).rawValue) }
    prepend(field: 1, variables.names)
  }

  private mutating func prepend(partitionsOf variables: VariableList) {
    let positions = (0..<variables.count).filter { variables.partition($0) != nil }
    let partitions = positions.compactMap { variables.partition($0) }
    let offsets = partitions.flatMap(\.offset)
    let fullLengths = partitions.flatMap(\.fullShape.lengths)
    prepend(field: 5, column: offsets.span)
    prepend(field: 4, column: fullLengths.span)
    prepend(field: 3, count: partitions.count) { Int32(partitions[$0].fullShape.rank) }
    prepend(field: 2, names: partitions.count) { position, body in
      let name = partitions[position].fullName
      body(name.bytes.span)
    }
    prepend(field: 1, count: positions.count) { UInt32(positions[$0]) }
  }
}

extension AssignmentMap.Target {
  fileprivate var isList: Bool {
    if case .variables = self { true } else { false }
  }

  fileprivate var names: [Name] {
    switch self {
    case .name(let name), .variable(let name): [name]
    case .variables(let names): names
    }
  }

  /// The number of names.
  fileprivate var count: Int {
    switch self {
    case .name, .variable: 1
    case .variables(let names): names.count
    }
  }
}

extension VariableList {
  /// The bytes that the variables take on the wire, about.
  fileprivate var wireByteCount: Int {
    names.bytes.count + 12 * count + 8 * shapes.lengths.count + 256
  }
}
