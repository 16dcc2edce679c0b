import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

extension Session {
  /// Answers `ListObjects`: the rows of the object graph, in several replies if there are many.
  func listObjects(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try holdings.open(request.checkpoint, caller)
    let graph = try objects(of: open, caller).graph
    var chunk = ObjectsChunk(graph.count, holdings.isOpenedByCall ? open.reply : nil)
    for row in graph.children.objects.indices {
      if chunk.isFull { try chunk.send(reply, more: true) }
      chunk.appendChild(row, of: graph)
    }
    for row in graph.attributes.objects.indices {
      if chunk.isFull { try chunk.send(reply, more: true) }
      chunk.appendAttribute(row, of: graph, in: open.checkpoint.catalog)
    }
    for row in graph.slotVariables.objects.indices {
      if chunk.isFull { try chunk.send(reply, more: true) }
      chunk.appendSlotVariable(row, of: graph)
    }
    try chunk.send(reply, more: false)
  }

  /// The object graph of a checkpoint, which the first call that needs it reads.
  func objects(of open: OpenCheckpoint, _ caller: Caller) throws(CallFailure) -> Objects {
    do {
      return try open.lease.objects(from: open.files, for: caller)
    } catch {
      throw .status(CallStatus(error))
    }
  }
}

/// The rows of the next reply.
private struct ObjectsChunk {
  private var reply = ListObjectsReply()
  private var byteCount = 0

  init(_ count: Int, _ checkpoint: OpenReply?) {
    reply.graph.count = count
    reply.checkpoint = checkpoint
  }

  var isFull: Bool { byteCount >= Responder.chunkByteCount }

  mutating func send(_ responder: Responder, more: Bool) throws(CallFailure) {
    try responder.send(more: more) { frame, scratch in
      frame.begin(reply, scratch)
      // Freed before the client reads the frame.
      self = ObjectsChunk(reply.graph.count, nil)
    }
  }

  mutating func appendChild(_ row: Int, of graph: ObjectGraph) {
    let rows = graph.children
    reply.graph.children.objects.append(rows.objects[row])
    reply.graph.children.children.append(rows.children[row])
    reply.graph.children.names.append(rows.names[row])
    byteCount += 12 + rows.names.range(row).count
  }

  /// Adds an attribute: a row for each tensor that it is stored as, or one if there is none.
  mutating func appendAttribute(_ row: Int, of graph: ObjectGraph, in catalog: Catalog) {
    let key = graph.attributes.keys[row]
    if let tensor = catalog.position(of: key) {
      return append(row, of: graph, "", catalog.dtype(tensor), catalog.shape(tensor))
    }
    // A hash table is saved as two tensors, under keys that the graph does not name.
    let parts = ["-keys", "-values"].compactMap { part in
      catalog.position(of: Name(key.bytes + Array(part.utf8))).map { (part, $0) }
    }
    guard !parts.isEmpty else { return append(row, of: graph, "", nil, []) }
    for (part, tensor) in parts {
      append(row, of: graph, part, catalog.dtype(tensor), catalog.shape(tensor))
    }
  }

  private mutating func append(
    _ row: Int, of graph: ObjectGraph, _ part: String, _ dtype: DataType?, _ shape: Shape
  ) {
    let rows = graph.attributes
    reply.graph.attributes.objects.append(rows.objects[row])
    reply.graph.attributes.names.append(Name(rows.names[row].bytes + Array(part.utf8)))
    reply.graph.attributes.fullNames.append(rows.fullNames[row])
    reply.graph.attributes.keys.append(Name(rows.keys[row].bytes + Array(part.utf8)))
    reply.dtypes.append(dtype)
    reply.shapes.append(shape)
    byteCount +=
      24 + rows.names.range(row).count + rows.fullNames.range(row).count
      + rows.keys.range(row).count + 2 * part.utf8.count + shape.rank * 8
  }

  mutating func appendSlotVariable(_ row: Int, of graph: ObjectGraph) {
    let rows = graph.slotVariables
    reply.graph.slotVariables.objects.append(rows.objects[row])
    reply.graph.slotVariables.variables.append(rows.variables[row])
    reply.graph.slotVariables.slots.append(rows.slots[row])
    reply.graph.slotVariables.names.append(rows.names[row])
    byteCount += 16 + rows.names.range(row).count
  }
}
