package import WarmstartProtobuf
package import WarmstartTensorModel

// TensorFlow stores an object graph as a `TrackableObjectGraph`: a list of objects, each with its
// children, attributes and slot variables. An `ObjectGraph` has their rows in columns. A hostile
// message has empty rows of two bytes, so memory is checked for each row.

extension ObjectGraph {
  /// The most memory that a graph may take, in bytes, from the length of its message.
  ///
  /// An honest child takes seven bytes or more in the message and 17 in the graph, twice that while
  /// the columns grow.
  package static func memoryByteCount(ofMessage byteCount: Int) -> Int {
    let (product, overflow) = byteCount.multipliedReportingOverflow(by: 8)
    return overflow ? .max : product + (64 << 10)
  }

  /// Parses a `TrackableObjectGraph`.
  ///
  /// Checks protobuf's own structure, not what the numbers refer to.
  ///
  /// - Throws: `tooLarge` above `memoryByteCount(ofMessage:)`; `malformed` if the bytes are not
  ///   such a message, or if it has too many objects or too long a name.
  package init(parsing message: Span<UInt8>) throws(MessageError) {
    self.init()
    var room = Room(limit: ObjectGraph.memoryByteCount(ofMessage: message.count))
    var reader = FieldReader(message)
    while let field = try reader.next() {
      guard case (1, .bytes(let range)) = field else { continue }
      guard count < ObjectGraph.maximumCount else {
        throw .malformed("more than \(ObjectGraph.maximumCount) objects")
      }
      try append(parsing: message.extracting(range), in: &room)
      count += 1
    }
  }

  /// Parses a `TrackableObject`.
  private mutating func append(
    parsing object: Span<UInt8>, in room: inout Room
  ) throws(MessageError) {
    let number = UInt32(count)
    var reader = FieldReader(object)
    while let field = try reader.next() {
      switch field {
      case (1, .bytes(let range)): try children.append(object.extracting(range), of: number, &room)
      case (2, .bytes(let range)):
        try attributes.append(object.extracting(range), of: number, &room)
      case (3, .bytes(let range)):
        try slotVariables.append(object.extracting(range), of: number, &room)
      default: break
      }
    }
  }
}

// MARK: - Rows

extension ObjectGraph.Children {
  /// Parses an `ObjectReference` of an object.
  fileprivate mutating func append(
    _ row: Span<UInt8>, of object: UInt32, _ room: inout Room
  ) throws(MessageError) {
    var child: UInt32 = 0
    var name = 0..<0
    var reader = FieldReader(row)
    while let field = try reader.next() {
      switch field {
      case (1, .varint(let value)): child = UInt32(truncatingIfNeeded: value)
      case (2, .bytes(let range)): name = range
      default: break
      }
    }
    try room.takeRow(numberCount: 2, names: [name])
    objects.append(object)
    children.append(child)
    names.append(row.extracting(name))
  }
}

extension ObjectGraph.Attributes {
  /// Parses a `SerializedTensor` of an object.
  fileprivate mutating func append(
    _ row: Span<UInt8>, of object: UInt32, _ room: inout Room
  ) throws(MessageError) {
    var (name, fullName, key) = (0..<0, 0..<0, 0..<0)
    var reader = FieldReader(row)
    while let field = try reader.next() {
      switch field {
      case (1, .bytes(let range)): name = range
      case (2, .bytes(let range)): fullName = range
      case (3, .bytes(let range)): key = range
      default: break
      }
    }
    try room.takeRow(numberCount: 1, names: [name, fullName, key])
    objects.append(object)
    names.append(row.extracting(name))
    fullNames.append(row.extracting(fullName))
    keys.append(row.extracting(key))
  }
}

extension ObjectGraph.SlotVariables {
  /// Parses a `SlotVariableReference` of an object.
  fileprivate mutating func append(
    _ row: Span<UInt8>, of object: UInt32, _ room: inout Room
  ) throws(MessageError) {
    var (variable, slot): (UInt32, UInt32) = (0, 0)
    var name = 0..<0
    var reader = FieldReader(row)
    while let field = try reader.next() {
      switch field {
      case (1, .varint(let value)): variable = UInt32(truncatingIfNeeded: value)
      case (2, .bytes(let range)): name = range
      case (3, .varint(let value)): slot = UInt32(truncatingIfNeeded: value)
      default: break
      }
    }
    try room.takeRow(numberCount: 3, names: [name])
    objects.append(object)
    variables.append(variable)
    slots.append(slot)
    names.append(row.extracting(name))
  }
}

/// The memory that the columns of a graph may still take.
private struct Room {
  private let limit: Int
  /// In bytes.
  ///
  /// Starts with half of the limit, since a column that grows holds its rows twice.
  private var left: Int

  init(limit: Int) {
    self.limit = limit
    left = limit / 2
  }

  /// Subtracts the memory of a row, which has numbers of four bytes and names.
  mutating func takeRow(numberCount: Int, names: [Range<Int>]) throws(MessageError) {
    var byteCount = numberCount * MemoryLayout<UInt32>.stride
    for name in names {
      guard name.count <= ObjectGraph.maximumNameByteCount else {
        throw .malformed(
          "a name of \(name.count) bytes, expected at most \(ObjectGraph.maximumNameByteCount)")
      }
      byteCount += name.count + MemoryLayout<Int>.stride
    }
    guard byteCount <= left else { throw .tooLarge(limit: limit) }
    left -= byteCount
  }
}
