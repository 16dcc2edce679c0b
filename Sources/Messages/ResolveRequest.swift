internal import CMessages
internal import CProtobufC
package import TensorModel

/// The request of `Resolve`: an assignment map, and the variables that it may initialize.
package struct ResolveRequest: Sendable {
  /// What the client asks of the handles.
  package struct Options: Sendable, Hashable {
    /// Every handle's address is a multiple of this power of two; 0 for the element's size.
    package var alignment = 0
    /// Only regions whose bytes can never change.
    package var sealed = false
    /// Variables whose tensor the checkpoint lacks are skipped and reported.
    package var skipMissing = false
    /// The client takes handles with strides.
    package var strides = false

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
    var reader = FieldReader(bytes)
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
    options = Options()
    options.alignment = unsafe Int(message.alignment)
    options.sealed = unsafe message.sealed != 0
    options.skipMissing = unsafe message.skip_missing != 0
    options.strides = unsafe message.strides != 0
  }

  private static func variables(
    _ message: Warmstart__V1__Variables
  ) throws(MessageError) -> VariableList {
    let dtypes = try unsafe Messages.dtypes(message.dtypes, message.n_dtypes, of: "a variable")
    let names = try unsafe NameList(message.names, count: dtypes.count, of: "variables")
    let ranks = unsafe column(message.ranks, message.n_ranks)
    try expect(ranks.count, dtypes.count, of: "variables", "ranks")
    let shapes = try unsafe Messages.shapes(
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
    let shapes = try unsafe Messages.shapes(
      column(message.full_lengths, message.n_full_lengths), ranks: ranks, of: "partitions")
    let offsets = try unsafe Messages.shapes(
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

extension OutgoingFrame {
  /// Begins a frame whose body is the request.
  ///
  /// The offset of each partition must have as many axes as the full shape.
  package mutating func begin(_ request: ResolveRequest, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__ResolveRequest()
    unsafe warmstart__v1__resolve_request__init(&message)
    unsafe message.checkpoint = request.checkpoint.message(scratch)
    unsafe message.map = request.map.message(scratch)
    unsafe message.variables = request.variables.message(scratch)
    unsafe message.alignment = UInt32(request.options.alignment)
    unsafe message.sealed = request.options.sealed ? 1 : 0
    unsafe message.skip_missing = request.options.skipMissing ? 1 : 0
    unsafe message.strides = request.options.strides ? 1 : 0
    unsafe begin(&message.base)
  }
}

extension AssignmentMap {
  fileprivate func message(
    _ scratch: Scratch
  ) -> UnsafeMutablePointer<Warmstart__V1__AssignmentMap> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__AssignmentMap.self)
    unsafe warmstart__v1__assignment_map__init(message)
    let targets = unsafe scratch.make(pairs.count, of: UInt32.self)
    let counts = unsafe scratch.make(pairs.count, of: UInt32.self)
    var hasLists = false
    for (position, pair) in pairs.enumerated() {
      let kind: Warmstart__V1__AssignmentMap__Target
      let count: Int
      switch pair.target {
      case .name: (kind, count) = (WARMSTART__V1__ASSIGNMENT_MAP__TARGET__NAME, 1)
      case .variable: (kind, count) = (WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLE, 1)
      case .variables(let list):
        (kind, count) = (WARMSTART__V1__ASSIGNMENT_MAP__TARGET__VARIABLES, list.count)
        hasLists = true
      }
      unsafe targets[position] = kind.rawValue
      unsafe counts[position] = UInt32(count)
    }
    unsafe message.pointee.keys = scratch.names(pairs.count) { pairs[$0].key }
    unsafe message.pointee.n_targets = pairs.count
    unsafe message.pointee.targets = targets
    unsafe message.pointee.n_name_counts = pairs.count
    unsafe message.pointee.name_counts = counts
    if hasLists {
      let names = pairs.flatMap(\.target.names)
      unsafe message.pointee.names = scratch.names(names.count) { names[$0] }
    } else {
      unsafe message.pointee.names = scratch.names(pairs.count) { pairs[$0].target.only }
    }
    return unsafe message
  }
}

extension AssignmentMap.Target {
  fileprivate var names: [Name] {
    switch self {
    case .name(let name), .variable(let name): [name]
    case .variables(let names): names
    }
  }

  /// The name of a target that is no list.
  fileprivate var only: Name {
    switch self {
    case .name(let name), .variable(let name): name
    case .variables: preconditionFailure("a list has names, not a name")
    }
  }
}

extension VariableList {
  fileprivate func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Variables> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Variables.self)
    unsafe warmstart__v1__variables__init(message)
    let dtypes = unsafe scratch.make(count, of: UInt32.self)
    let ranks = unsafe scratch.make(count, of: Int32.self)
    var outside: [UInt32] = []
    for position in 0..<count {
      unsafe dtypes[position] = UInt32(dtype(position).rawValue)
      unsafe ranks[position] = isRankKnown(position) ? Int32(shapes.range(position).count) : -1
      if !isInStore(position) { outside.append(UInt32(position)) }
    }
    unsafe message.pointee.names = scratch.message(names)
    unsafe message.pointee.n_dtypes = count
    unsafe message.pointee.dtypes = dtypes
    unsafe message.pointee.n_ranks = count
    unsafe message.pointee.ranks = ranks
    unsafe message.pointee.n_lengths = shapes.lengths.count
    unsafe message.pointee.lengths = scratch.signedColumn(shapes.lengths)
    unsafe message.pointee.n_outside_store = outside.count
    unsafe message.pointee.outside_store = scratch.column(outside)
    if !hasNoPartitions { unsafe message.pointee.partitions = partitions(scratch) }
    return unsafe message
  }

  private func partitions(
    _ scratch: Scratch
  ) -> UnsafeMutablePointer<Warmstart__V1__Partitions> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Partitions.self)
    unsafe warmstart__v1__partitions__init(message)
    let positions = (0..<count).filter { partition($0) != nil }
    let partitions = positions.compactMap { partition($0) }
    let offsets = partitions.flatMap(\.offset)
    let lengths = partitions.flatMap(\.fullShape.lengths)
    unsafe message.pointee.n_variables = positions.count
    unsafe message.pointee.variables = scratch.column(positions.map { UInt32($0) })
    unsafe message.pointee.full_names = scratch.names(partitions.count) { partitions[$0].fullName }
    unsafe message.pointee.n_ranks = partitions.count
    unsafe message.pointee.ranks = scratch.column(partitions.map { Int32($0.fullShape.rank) })
    unsafe message.pointee.n_full_lengths = lengths.count
    unsafe message.pointee.full_lengths = scratch.signedColumn(lengths)
    unsafe message.pointee.n_offsets = offsets.count
    unsafe message.pointee.offsets = scratch.signedColumn(offsets)
    return unsafe message
  }
}
