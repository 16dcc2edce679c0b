/// The objects of the program that saved a TF2 checkpoint, with their parts and their tensors.
///
/// Objects are numbered from 0, which is the root. Several may have the same child, and a child may
/// lead back. Flat, in columns, because 100,000 objects are common. Each row is about one object,
/// and rows are in ascending order of their objects.
package struct ObjectGraph: Sendable, Hashable {
  /// The tensor that has the graph, in checkpoints that TF2 saved of objects.
  package static let key: Name = "_CHECKPOINTABLE_OBJECT_GRAPH"
  /// The most objects of a graph; chosen, not tuned: ten times what is common.
  package static let maximumCount = 1 << 20
  /// The longest name in a graph; chosen, not tuned: some rows make a message of usual length.
  package static let maximumNameByteCount = 64 << 10

  /// The parts of objects, by their names in the objects.
  package struct Children: Sendable, Hashable {
    package var objects: [UInt32] = []
    package var children: [UInt32] = []
    package var names = NameList()

    package init() {}
  }

  /// Values of objects that are stored as tensors.
  package struct Attributes: Sendable, Hashable {
    package var objects: [UInt32] = []
    package var names = NameList()
    /// The names of variables in their program, not necessarily unique; empty for other values.
    package var fullNames = NameList()
    /// The names of the tensors, which may be missing in the checkpoint.
    package var keys = NameList()

    package init() {}
  }

  /// Variables that optimizers keep for other variables.
  package struct SlotVariables: Sendable, Hashable {
    /// The optimizers.
    package var objects: [UInt32] = []
    package var variables: [UInt32] = []
    /// The variables that hold the slots.
    package var slots: [UInt32] = []
    package var names = NameList()

    package init() {}
  }

  package var count = 0
  package var children = Children()
  package var attributes = Attributes()
  package var slotVariables = SlotVariables()

  package init() {}

  /// Adds the rows of the next part of the graph.
  package mutating func append(_ part: ObjectGraph) {
    count = part.count
    children.objects += part.children.objects
    children.children += part.children.children
    children.names.append(part.children.names)
    attributes.objects += part.attributes.objects
    attributes.names.append(part.attributes.names)
    attributes.fullNames.append(part.attributes.fullNames)
    attributes.keys.append(part.attributes.keys)
    slotVariables.objects += part.slotVariables.objects
    slotVariables.variables += part.slotVariables.variables
    slotVariables.slots += part.slotVariables.slots
    slotVariables.names.append(part.slotVariables.names)
  }

  /// The fault of the graph, for a message; nil if all objects exist and all rows are in order.
  package var fault: String? {
    for objects in [children.objects, attributes.objects, slotVariables.objects] {
      for (row, object) in objects.enumerated() where row > 0 && object < objects[row - 1] {
        return "a row of object \(object) follows a row of object \(objects[row - 1])"
      }
      if let last = objects.last, last >= count { return "it has no object \(last)" }
    }
    for objects in [children.children, slotVariables.variables, slotVariables.slots] {
      for object in objects where object >= count {
        return "it refers to object \(Int32(truncatingIfNeeded: object)) of \(count)"
      }
    }
    return nil
  }

  /// The approximate number of bytes of memory that the graph takes.
  package var memoryByteCount: Int {
    let columns =
      children.objects.count * 8 + attributes.objects.count * 4 + slotVariables.objects.count * 12
    return [
      children.names, attributes.names, attributes.fullNames, attributes.keys, slotVariables.names,
    ].reduce(columns) { $0 + $1.memoryByteCount }
  }
}
