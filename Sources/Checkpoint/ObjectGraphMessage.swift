package import WarmstartProtobuf
package import WarmstartTensorModel

// TensorFlow stores an object graph as a `TrackableObjectGraph`: a list of objects, each with its
// children, attributes and slot variables. The messages nest; an `ObjectGraph` has them in columns.
// Memory is bounded while it grows, since a row of nothing takes two bytes of the message.

extension ObjectGraph {
  /// The most memory that a graph may take whose message has a number of bytes, in bytes.
  ///
  /// An honest child has seven bytes or more, for which a graph holds 17, and twice that while its
  /// columns grow.
  package static func memoryByteCount(ofMessage byteCount: Int) -> Int {
    let (product, overflow) = byteCount.multipliedReportingOverflow(by: 8)
    return overflow ? .max : product + (64 << 10)
  }

  /// Parses a `TrackableObjectGraph`.
  ///
  /// Only protobuf's own structure is checked, not what the numbers refer to.
  ///
  /// - Throws: `tooLarge` if the graph would take more than `memoryByteCount(ofMessage:)`, `malformed`
  ///   if the bytes are no such message, or have too many objects or too long a name.
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

/// What the columns of a graph may still take.
private struct Room {
  private let limit: Int
  /// In bytes; half of the limit, since a column that grows holds its rows twice.
  private var left: Int

  init(limit: Int) {
    self.limit = limit
    left = limit / 2
  }

  /// Takes the room of a row, which has numbers of four bytes and names.
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
