internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

extension ObjectGraph {
  /// About the most memory that unpacking a graph of a given length takes.
  ///
  /// What is unpacked and what is held of it are each bounded by that much: an honest child has seven
  /// bytes or more, of which 17 are held, a hostile one two.
  package static func unpackByteCount(_ byteCount: Int) -> Int {
    let (product, overflow) = byteCount.multipliedReportingOverflow(by: 16)
    return overflow ? .max : product + (64 << 10)
  }

  /// Unpacks a `TrackableObjectGraph`, one object after the other.
  ///
  /// Only protobuf's own structure is checked, not what the numbers refer to.
  package init(unpacking bytes: [UInt8], _ scratch: Scratch) throws(MessageError) {
    self.init()
    let limit = ObjectGraph.unpackByteCount(bytes.count)
    var reader = FieldReader(bytes.span)
    while let field = try reader.next() {
      guard field.number == 1 else { continue }
      guard case .bytes(let range) = field.value else { throw .malformed("an object of no bytes") }
      guard count < ObjectGraph.maximumCount else {
        throw .malformed("more than \(ObjectGraph.maximumCount) objects")
      }
      let object = unsafe try scratch.unpack(
        bytes.span.bytes.extracting(range), limit: limit,
        { unsafe tensorflow__trackable_object__unpack($0, $1, $2) })
      try unsafe append(object.pointee)
      // Twice, since what is appended to grows by doubling.
      guard memoryByteCount * 2 <= limit else { throw .tooLarge(limit: limit) }
    }
    scratch.giveBack()
  }

  private mutating func append(_ object: Tensorflow__TrackableObject) throws(MessageError) {
    let number = UInt32(count)
    count += 1
    for index in 0..<(unsafe object.n_children) {
      guard let child = unsafe object.children[index]?.pointee else { continue }
      children.objects.append(number)
      unsafe children.children.append(UInt32(bitPattern: child.node_id))
      try unsafe children.names.append(child.local_name)
    }
    for index in 0..<(unsafe object.n_attributes) {
      guard let attribute = unsafe object.attributes[index]?.pointee else { continue }
      attributes.objects.append(number)
      try unsafe attributes.names.append(attribute.name)
      try unsafe attributes.fullNames.append(attribute.full_name)
      try unsafe attributes.keys.append(attribute.checkpoint_key)
    }
    for index in 0..<(unsafe object.n_slot_variables) {
      guard let slot = unsafe object.slot_variables[index]?.pointee else { continue }
      slotVariables.objects.append(number)
      unsafe slotVariables.variables.append(UInt32(bitPattern: slot.original_variable_node_id))
      unsafe slotVariables.slots.append(UInt32(bitPattern: slot.slot_variable_node_id))
      try unsafe slotVariables.names.append(slot.slot_name)
    }
  }
}

extension NameList {
  fileprivate mutating func append(_ data: ProtobufCBinaryData) throws(MessageError) {
    let limit = ObjectGraph.maximumNameByteCount
    guard unsafe data.len <= limit else {
      throw .malformed("a name of \(unsafe data.len) bytes, expected at most \(limit)")
    }
    guard let start = unsafe data.data else { return append(Span()) }
    append(unsafe Span(_unsafeStart: start, count: data.len))
  }
}
