import WarmstartKernel
package import WarmstartTensorModel

extension Checkpoint {
  /// The longest stored graph that is read, in bytes; chosen, not tuned.
  package static let maximumObjectGraphByteCount = 64 << 20

  /// Checks that the checkpoint has an object graph, or names of layers that make one.
  ///
  /// - Throws: `tensorNotFound` for a checkpoint that was saved by names of variables.
  package func expectObjectGraph() throws(Problem) {
    if layers.isEmpty { _ = try objectGraphRun() }
  }

  /// The stored run with the object graph, and its tensor.
  fileprivate func objectGraphRun() throws(Problem) -> (run: Int, tensor: Int) {
    guard format == .v1 || format == .v2 else {
      throw Problem(
        .tensorNotFound,
        "the checkpoint has no other names of its tensors than those that `list` shows")
    }
    guard records == nil, let tensor = catalog.position(of: ObjectGraph.key) else {
      throw Problem(
        .tensorNotFound,
        "tensor \(ObjectGraph.key) is not found: this is a name-based checkpoint, not one "
          + "that TF2 saved of objects",
        tensor: ObjectGraph.key)
    }
    guard catalog.dtype(tensor) == .string, catalog.shape(tensor).rank == 0,
      !catalog.isSliced(tensor)
    else {
      let shape = catalog.shape(tensor)
      throw problem(
        tensor, .corrupt, "is \(catalog.dtype(tensor).name) \(shape), expected one string")
    }
    let run = storedRange(tensor).lowerBound
    let limit = Checkpoint.maximumObjectGraphByteCount
    guard stored[run].byteCount <= limit else {
      throw problem(
        tensor, .unsupported, "has \(stored[run].byteCount) bytes, expected at most \(limit)")
    }
    return (run, tensor)
  }

  /// The most memory that reading the object graph takes, in bytes, approximately.
  package func objectGraphReadingByteCount() throws(Problem) -> Int {
    guard layers.isEmpty else { return layers.graphByteCount(of: catalog) }
    let run = try objectGraphRun().run
    // The string, and a copy of its bytes; the graph; and the axes of its tensors.
    let byteCount = max(0, stored[run].byteCount)
    return 2 * byteCount + ObjectGraph.memoryByteCount(ofMessage: byteCount)
      + ObjectGraph.maximumAxisCount(ofMessage: byteCount) * MemoryLayout<Int>.stride
  }
}

extension Loading {
  /// Reads, verifies and parses the object graph.
  package mutating func readObjectGraph() throws(Problem) -> ObjectGraph {
    guard checkpoint.layers.isEmpty else {
      return checkpoint.layers.graph(of: checkpoint.catalog)
    }
    let (run, tensor) = try checkpoint.objectGraphRun()
    let strings = try reader.readLengths(run, of: tensor)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(strings.byteCount)
    try reader.stream(strings, at: run, of: tensor) { chunk, _ in
      bytes.append(contentsOf: Array(chunk))
    }
    let graph: ObjectGraph
    do {
      graph = try ObjectGraph(parsing: bytes.span)
    } catch {
      throw checkpoint.problem(tensor, .corrupt, "is not a valid object graph: \(error)")
    }
    let limit = ObjectGraph.maximumAxisCount(ofMessage: bytes.count)
    let fault = graph.fault ?? graph.excess(in: checkpoint.catalog, overAxes: limit)
    if let fault {
      throw checkpoint.problem(tensor, .corrupt, "is not a valid object graph: \(fault)")
    }
    return graph
  }
}

extension ObjectGraph {
  /// The most axes that the tensors of a graph may have together, from the length of its message.
  fileprivate static func maximumAxisCount(ofMessage byteCount: Int) -> Int {
    2 * byteCount + 8192
  }

  /// Why the tensors of the attributes have too many axes together; nil if they do not.
  ///
  /// A row of ten bytes may name a tensor of 254 axes, and the next row the same tensor again.
  fileprivate func excess(in catalog: Catalog, overAxes limit: Int) -> String? {
    var axisCount = 0
    for row in attributes.objects.indices {
      guard let tensor = catalog.position(of: attributes.keys[row]) else { continue }
      axisCount += catalog.lengths(tensor).count
      guard axisCount <= limit else { return "its tensors have more than \(limit) axes in all" }
    }
    return nil
  }
}
