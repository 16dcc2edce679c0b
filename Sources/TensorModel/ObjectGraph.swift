/// What a TF2 checkpoint was saved of: objects, their parts, and the tensors that are theirs.
///
/// Objects are numbered from 0, which is the root. Several may have the same child, and a child may
/// lead back. Flat, in columns, because 100,000 objects are common; a row of each kind is about one
/// object, and rows come in ascending order of objects.
package struct ObjectGraph: Sendable, Hashable {
  /// The tensor that has the graph, in checkpoints that TF2 saved of objects.
  package static let key: Name = "_CHECKPOINTABLE_OBJECT_GRAPH"
  /// The most objects of a graph; chosen, not tuned: ten times what is common.
  package static let maximumCount = 1 << 20
  /// The longest name in a graph; chosen, not tuned: some rows make a message of usual length.
  package static let maximumNameByteCount = 64 << 10

  /// What objects call other objects.
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
    /// What variables were called; empty for what is no variable, and not necessarily unique.
    package var fullNames = NameList()
    /// The tensors' names in the checkpoint, which may lack them.
    package var keys = NameList()

    package init() {}
  }

  /// Variables that optimizers keep for other variables.
  package struct SlotVariables: Sendable, Hashable {
    /// The optimizers.
    package var objects: [UInt32] = []
    package var variables: [UInt32] = []
    /// What is kept for them.
    package var slots: [UInt32] = []
    package var names = NameList()

    package init() {}
  }

  package var count = 0
  package var children = Children()
  package var attributes = Attributes()
  package var slotVariables = SlotVariables()

  package init() {}

  /// Adds the rows of a part that follows.
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

  /// Why this is no graph, for a message; nil if all objects exist and rows are in their order.
  package var fault: String? {
    for objects in [children.objects, attributes.objects, slotVariables.objects] {
      for (row, object) in objects.enumerated() where row > 0 && object < objects[row - 1] {
        return "what is of object \(object) follows what is of object \(objects[row - 1])"
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

  /// The memory that the graph takes, in bytes, about.
  package var memoryByteCount: Int {
    let columns =
      children.objects.count * 8 + attributes.objects.count * 4 + slotVariables.objects.count * 12
    return [
      children.names, attributes.names, attributes.fullNames, attributes.keys, slotVariables.names,
    ].reduce(columns) { $0 + $1.memoryByteCount }
  }
}
