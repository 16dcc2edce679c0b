internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// A response of `ListObjects`: some rows of the object graph, in their order.
///
/// The request is `Open`'s.
package struct ListObjectsReply: Sendable {
  /// In the first response, if the call opened the checkpoint.
  package var checkpoint: OpenReply?
  /// The rows; the count is that of the whole graph.
  package var graph = ObjectGraph()
  /// The dtypes of the attributes' tensors; nil where the checkpoint has no tensor of the key.
  package var dtypes: [DataType?] = []
  /// The shapes of the attributes' tensors; of those that are missing, without axes.
  package var shapes = ShapeList()

  package init() {}

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply,
      { unsafe warmstart__v1__list_objects_reply__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    checkpoint = unsafe message.checkpoint.map { unsafe OpenReply($0.pointee) }
    graph.count = unsafe Int(message.object_count)
    if let rows = unsafe message.children?.pointee {
      graph.children = try unsafe ObjectGraph.Children(rows)
    }
    if let rows = unsafe message.attributes?.pointee {
      graph.attributes = try unsafe ObjectGraph.Attributes(rows)
      try unsafe setTensors(rows)
    }
    if let rows = unsafe message.slot_variables?.pointee {
      graph.slotVariables = try unsafe ObjectGraph.SlotVariables(rows)
    }
  }

  private mutating func setTensors(
    _ message: Warmstart__V1__ObjectAttributes
  ) throws(MessageError) {
    let numbers = unsafe column(message.dtypes, message.n_dtypes)
    let ranks = unsafe column(message.ranks, message.n_ranks)
    try expect(numbers.count, graph.attributes.objects.count, of: "attributes", "dtypes")
    try expect(ranks.count, numbers.count, of: "attributes", "ranks")
    for number in numbers {
      let dtype = DataType(rawValue: Int32(truncatingIfNeeded: number))
      guard number == 0 || dtype != nil else { throw .malformed("an attribute of dtype \(number)") }
      dtypes.append(dtype)
    }
    shapes = try unsafe WarmstartMessages.shapes(
      column(message.lengths, message.n_lengths), ranks: ranks, of: "attributes")
  }
}

extension ObjectGraph.Children {
  fileprivate init(_ message: Warmstart__V1__ObjectChildren) throws(MessageError) {
    self.init()
    objects = unsafe column(message.objects, message.n_objects)
    children = unsafe column(message.children, message.n_children)
    try expect(children.count, objects.count, of: "children", "objects")
    names = try unsafe NameList(message.names, count: objects.count, of: "children")
  }
}

extension ObjectGraph.Attributes {
  fileprivate init(_ message: Warmstart__V1__ObjectAttributes) throws(MessageError) {
    self.init()
    objects = unsafe column(message.objects, message.n_objects)
    names = try unsafe NameList(message.names, count: objects.count, of: "attributes")
    fullNames = try unsafe NameList(
      message.full_names, count: objects.count, of: "attributes' full names")
    keys = try unsafe NameList(
      message.checkpoint_keys, count: objects.count, of: "attributes' keys")
  }
}

extension ObjectGraph.SlotVariables {
  fileprivate init(_ message: Warmstart__V1__SlotVariables) throws(MessageError) {
    self.init()
    objects = unsafe column(message.objects, message.n_objects)
    variables = unsafe column(message.variables, message.n_variables)
    slots = unsafe column(message.slot_variables, message.n_slot_variables)
    try expect(variables.count, objects.count, of: "slot variables", "variables")
    try expect(slots.count, objects.count, of: "slot variables", "objects")
    names = try unsafe NameList(message.names, count: objects.count, of: "slot variables")
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: ListObjectsReply, _ scratch: Scratch) {
    let graph = reply.graph
    begin()
    if !graph.slotVariables.objects.isEmpty {
      prepend(field: 5) { frame in frame.prepend(graph.slotVariables) }
    }
    if !graph.attributes.objects.isEmpty {
      prepend(field: 4) { frame in
        frame.prepend(graph.attributes, reply.dtypes, reply.shapes)
      }
    }
    if !graph.children.objects.isEmpty {
      prepend(field: 3) { frame in frame.prepend(graph.children) }
    }
    prepend(field: 2, UInt64(graph.count))
    guard let checkpoint = reply.checkpoint else { return }
    prepend(field: 1) { frame in
      scratch.begin()
      unsafe frame.prepend(&checkpoint.message(scratch).pointee.base)
    }
  }

  private mutating func prepend(_ rows: ObjectGraph.Children) {
    prepend(field: 3, rows.names)
    prepend(field: 2, column: rows.children.span)
    prepend(field: 1, column: rows.objects.span)
  }

  private mutating func prepend(
    _ rows: ObjectGraph.Attributes, _ dtypes: [DataType?], _ shapes: ShapeList
  ) {
    prepend(field: 7, column: shapes.lengths.span)
    prepend(field: 6, count: dtypes.count) { Int32(shapes.range($0).count) }
    prepend(field: 5, count: dtypes.count) { UInt32(dtypes[$0]?.rawValue ?? 0) }
    prepend(field: 4, rows.keys)
    prepend(field: 3, rows.fullNames)
    prepend(field: 2, rows.names)
    prepend(field: 1, column: rows.objects.span)
  }

  private mutating func prepend(_ rows: ObjectGraph.SlotVariables) {
    prepend(field: 4, rows.names)
    prepend(field: 3, column: rows.slots.span)
    prepend(field: 2, column: rows.variables.span)
    prepend(field: 1, column: rows.objects.span)
  }
}
