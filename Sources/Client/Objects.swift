import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
public import WarmstartTensorModel
import WarmstartWire

extension Checkpoint {
  /// An object of the program that saved a TF2 checkpoint.
  public struct StoredObject: Sendable, Hashable {
    /// Another object that is a part of this one.
    public struct Child: Sendable, Hashable {
      /// The name of the part in this object.
      public let name: Name
      /// The position of the part among all objects.
      public let object: Int
      /// Whether the part's `path` ends with this name; several names may lead to one object.
      public let isOnPath: Bool
    }

    /// A value that is stored as a tensor.
    public struct Attribute: Sendable, Hashable {
      /// `VARIABLE_VALUE` for a variable's.
      public let name: Name
      /// The name of the variable in its program, which several may have; empty for other values.
      public let fullName: Name
      /// The tensor's name in the checkpoint.
      public let key: Name
      /// The tensor's element type; nil if the checkpoint has no tensor of that name.
      public let dtype: DataType?
      /// The tensor's shape; nil if the checkpoint has no tensor of that name.
      public let shape: Shape?
    }

    /// A variable that this object, an optimizer, keeps for another variable.
    public struct SlotVariable: Sendable, Hashable {
      /// The name of the slot in the optimizer: `momentum`.
      public let name: Name
      /// The position of the variable that the slot belongs to.
      public let variable: Int
      /// The position of the slot's own variable.
      public let object: Int
    }

    /// The names on the shortest path from the root, as the checkpoint's keys spell them; empty for
    /// the root, nil if no path leads to the object.
    ///
    /// A path longer than 1 KiB is cut at its front.
    public let path: Name?
    /// The parts of this object; several objects may share a part, and a part may lead back.
    public let children: [Child]
    /// The values of this object that are stored.
    public let attributes: [Attribute]
    /// The variables that this object, an optimizer, keeps for other variables.
    public let slotVariables: [SlotVariable]
  }

  /// Lists the objects of the program that saved the checkpoint; the first is the root.
  ///
  /// - Parameter timeout: How long to wait; nil for as long as it takes.
  /// - Returns: The objects; they refer to each other by their positions.
  /// - Throws: `WarmstartError` with the reason `tensorNotFound` for a checkpoint that was saved by
  ///   names, as only TF2 saves objects; `corrupt`, `checksumMismatch`, `budget`,
  ///   `checkpointChanged`, `connection` or `deadline`; on a new connection also with a reason of
  ///   `Client.open`.
  public func objects(timeout: Duration? = nil) throws(WarmstartError) -> [StoredObject] {
    var all = ListObjectsReply()
    try call(.listObjects, until: Deadline(timeout), starting: { all = ListObjectsReply() }) {
      reference, frame, scratch in
      frame.begin(OpenRequest(reference), scratch)
    } read: { bytes, scratch, _ throws(MessageError) in
      let reply = try ListObjectsReply(unpacking: bytes, scratch)
      all.graph.append(reply.graph)
      all.dtypes += reply.dtypes
      all.shapes.append(reply.shapes)
      return reply.checkpoint
    }
    guard all.graph.count <= ObjectGraph.maximumCount, all.graph.fault == nil else {
      throw WarmstartError(
        .connection, "malformed reply: \(all.graph.fault ?? "too many objects")")
    }
    return all.objects
  }
}

extension ListObjectsReply {
  /// The objects that the rows of a whole graph are about.
  fileprivate var objects: [Checkpoint.StoredObject] {
    let paths = ObjectPaths(graph)
    var (child, attribute, slot) = (0, 0, 0)
    return (0..<graph.count).map { object in
      Checkpoint.StoredObject(
        path: paths.path(to: object),
        children: rows(of: object, &child, graph.children.objects).map { row in
          Checkpoint.StoredObject.Child(
            name: graph.children.names[row], object: Int(graph.children.children[row]),
            isOnPath: paths.isArrival(row))
        },
        attributes: rows(of: object, &attribute, graph.attributes.objects).map(self.attribute),
        slotVariables: rows(of: object, &slot, graph.slotVariables.objects).map { row in
          Checkpoint.StoredObject.SlotVariable(
            name: graph.slotVariables.names[row], variable: Int(graph.slotVariables.variables[row]),
            object: Int(graph.slotVariables.slots[row]))
        })
    }
  }

  private func attribute(_ row: Int) -> Checkpoint.StoredObject.Attribute {
    let rows = graph.attributes
    return Checkpoint.StoredObject.Attribute(
      name: rows.names[row], fullName: rows.fullNames[row], key: rows.keys[row],
      dtype: dtypes[row],
      // Users count axes from 0, which a run of a longer buffer does not.
      shape: dtypes[row] == nil ? nil : Shape(Array(shapes[row].lengths)))
  }

  /// The rows of an object, which follow those of the object before.
  private func rows(of object: Int, _ next: inout Int, _ objects: [UInt32]) -> Range<Int> {
    let first = next
    while next < objects.count, objects[next] == object { next += 1 }
    return first..<next
  }
}
