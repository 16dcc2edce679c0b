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
  package var variables: [Variable]
  package var options: Options

  package init(
    checkpoint: CheckpointReference, map: AssignmentMap, variables: [Variable], options: Options
  ) {
    self.checkpoint = checkpoint
    self.map = map
    self.variables = variables
    self.options = options
  }
}

extension ResolveRequest {
  /// Unpacks the request; all names share one buffer and all lengths another.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__resolve_request__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    checkpoint = try unsafe CheckpointReference(message.checkpoint)
    var buffers = unsafe SharedBuffers(message)
    map = AssignmentMap([])
    map.pairs.reserveCapacity(unsafe message.n_map)
    for index in 0..<(unsafe message.n_map) {
      guard let pair = unsafe message.map[index]?.pointee else { continue }
      map.pairs.append(try unsafe AssignmentMap.Pair(pair, &buffers))
    }
    variables = []
    variables.reserveCapacity(unsafe message.n_variables)
    for index in 0..<(unsafe message.n_variables) {
      guard let variable = unsafe message.variables[index]?.pointee else { continue }
      variables.append(try unsafe Variable(variable, &buffers))
    }
    options = Options()
    options.alignment = unsafe Int(message.alignment)
    options.sealed = unsafe message.sealed != 0
    options.skipMissing = unsafe message.skip_missing != 0
    options.strides = unsafe message.strides != 0
  }
}

/// The names and the lengths of a whole request, each kind end to end, cut again in the same order.
///
/// 100,000 variables would otherwise be 200,000 allocations.
private struct SharedBuffers {
  private var text: [UInt8] = []
  private var lengths: [Int] = []
  private var textPosition = 0
  private var lengthPosition = 0

  init(_ message: Warmstart__V1__ResolveRequest) {
    for index in 0..<(unsafe message.n_map) {
      guard let pair = unsafe message.map[index]?.pointee else { continue }
      unsafe append(pair.key)
      for index in 0..<(unsafe pair.n_names) { unsafe append(pair.names[index]) }
    }
    for index in 0..<(unsafe message.n_variables) {
      guard let variable = unsafe message.variables[index]?.pointee else { continue }
      unsafe append(variable.name)
      unsafe append(variable.shape, variable.n_shape)
      guard let place = unsafe variable.partition?.pointee else { continue }
      unsafe append(place.full_name)
      unsafe append(place.full_shape, place.n_full_shape)
    }
  }

  private mutating func append(_ data: ProtobufCBinaryData) {
    unsafe text.append(contentsOf: UnsafeBufferPointer(start: data.data, count: data.len))
  }

  private mutating func append(_ values: UnsafeMutablePointer<Int64>?, _ count: Int) {
    for index in 0..<count { lengths.append(Int(unsafe values.unsafelyUnwrapped[index])) }
  }

  /// The next name; its bytes are those that came at this place.
  mutating func name(_ data: ProtobufCBinaryData) -> Name {
    defer { textPosition += unsafe data.len }
    return Name(text[textPosition..<textPosition + (unsafe data.len)])
  }

  mutating func shape(_ count: Int) -> Shape {
    defer { lengthPosition += count }
    return Shape(lengths[lengthPosition..<lengthPosition + count])
  }
}

extension AssignmentMap.Pair {
  fileprivate init(
    _ message: Warmstart__V1__AssignmentPair, _ buffers: inout SharedBuffers
  ) throws(MessageError) {
    let key = unsafe buffers.name(message.key)
    var names: [Name] = []
    for index in 0..<(unsafe message.n_names) {
      names.append(unsafe buffers.name(message.names[index]))
    }
    switch unsafe message.target {
    case WARMSTART__V1__ASSIGNMENT_PAIR__TARGET__VARIABLES: self.init(key, .variables(names))
    case WARMSTART__V1__ASSIGNMENT_PAIR__TARGET__NAME where names.count == 1:
      self.init(key, .name(names[0]))
    case WARMSTART__V1__ASSIGNMENT_PAIR__TARGET__VARIABLE where names.count == 1:
      self.init(key, .variable(names[0]))
    default: throw .malformed("a pair of the map with \(names.count) targets")
    }
  }
}

extension Variable {
  fileprivate init(
    _ message: Warmstart__V1__VariableDeclaration, _ buffers: inout SharedBuffers
  ) throws(MessageError) {
    guard let dtype = unsafe DataType(rawValue: message.dtype) else {
      throw .malformed("a variable of dtype \(unsafe message.dtype)")
    }
    let name = unsafe buffers.name(message.name)
    let shape = unsafe buffers.shape(message.n_shape)
    var partition: Partition?
    if let place = unsafe message.partition?.pointee {
      let fullName = unsafe buffers.name(place.full_name)
      let fullShape = unsafe buffers.shape(place.n_full_shape)
      partition = unsafe Partition(
        of: fullName, fullShape: fullShape, offset: integers(place.offset, place.n_offset))
    }
    unsafe self.init(
      name, dtype, message.unknown_rank != 0 ? nil : shape, partition: partition,
      isInStore: message.outside_store == 0)
  }
}

extension OutgoingFrame {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: ResolveRequest, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__ResolveRequest()
    unsafe warmstart__v1__resolve_request__init(&message)
    unsafe message.checkpoint = request.checkpoint.message(scratch)
    unsafe message.n_map = request.map.pairs.count
    unsafe message.map = scratch.messages(request.map.pairs) { pair, message in
      unsafe pair.fill(message, scratch)
    }
    unsafe message.n_variables = request.variables.count
    unsafe message.variables = scratch.messages(request.variables) { variable, message in
      unsafe variable.fill(message, scratch)
    }
    unsafe message.alignment = UInt32(request.options.alignment)
    unsafe message.sealed = request.options.sealed ? 1 : 0
    unsafe message.skip_missing = request.options.skipMissing ? 1 : 0
    unsafe message.strides = request.options.strides ? 1 : 0
    unsafe begin(&message.base)
  }
}

extension AssignmentMap.Pair {
  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__AssignmentPair>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__assignment_pair__init(message)
    unsafe message.pointee.key = scratch.bytes(key.bytes)
    let names: [Name]
    switch target {
    case .name(let name):
      names = [name]
      unsafe message.pointee.target = WARMSTART__V1__ASSIGNMENT_PAIR__TARGET__NAME
    case .variable(let name):
      names = [name]
      unsafe message.pointee.target = WARMSTART__V1__ASSIGNMENT_PAIR__TARGET__VARIABLE
    case .variables(let list):
      names = list
      unsafe message.pointee.target = WARMSTART__V1__ASSIGNMENT_PAIR__TARGET__VARIABLES
    }
    let data = unsafe scratch.make(names.count, of: ProtobufCBinaryData.self)
    for (index, name) in names.enumerated() { unsafe data[index] = scratch.bytes(name.bytes) }
    unsafe message.pointee.n_names = names.count
    unsafe message.pointee.names = data
  }
}

extension Variable {
  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__VariableDeclaration>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__variable_declaration__init(message)
    unsafe message.pointee.name = scratch.bytes(name.bytes)
    unsafe message.pointee.dtype = dtype.rawValue
    unsafe message.pointee.outside_store = isInStore ? 0 : 1
    if let shape {
      unsafe message.pointee.n_shape = shape.rank
      unsafe message.pointee.shape = scratch.integers(shape.lengths)
    } else {
      unsafe message.pointee.unknown_rank = 1
    }
    guard let partition else { return }
    let place = unsafe scratch.make(1, of: Warmstart__V1__PartitionPlace.self)
    unsafe warmstart__v1__partition_place__init(place)
    unsafe place.pointee.full_name = scratch.bytes(partition.fullName.bytes)
    unsafe place.pointee.n_full_shape = partition.fullShape.rank
    unsafe place.pointee.full_shape = scratch.integers(partition.fullShape.lengths)
    unsafe place.pointee.n_offset = partition.offset.count
    unsafe place.pointee.offset = scratch.integers(partition.offset)
    unsafe message.pointee.partition = place
  }
}
