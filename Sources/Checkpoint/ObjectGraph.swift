import Messages
package import TensorModel

extension Checkpoint {
  /// The tensor that has the object graph, in checkpoints that TF2 saved of objects.
  package static let objectGraphKey: Name = "_CHECKPOINTABLE_OBJECT_GRAPH"
  /// The longest graph that is read; chosen, not tuned.
  package static let maximumObjectGraphByteCount = 256 << 20

  /// The stored run with the object graph, and its tensor.
  ///
  /// Throws TENSOR_NOT_FOUND for a checkpoint that was saved by variables' names.
  package func objectGraphRun() throws(Problem) -> (run: Int, tensor: Int) {
    guard let tensor = catalog.position(of: Checkpoint.objectGraphKey) else {
      throw Problem(
        .tensorNotFound,
        "tensor \(Checkpoint.objectGraphKey) is not found: this is a name-based checkpoint, not one "
          + "that TF2 saved of objects",
        tensor: Checkpoint.objectGraphKey)
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

  /// The memory that it takes to read the object graph in a stored run, in bytes, at most about.
  package func objectGraphReadingByteCount(_ run: Int) -> Int {
    // The bytes are held three times; then unpacked, and kept in columns.
    let byteCount = max(0, stored[run].byteCount)
    return 3 * byteCount + 2 * ObjectGraph.unpackByteCount(byteCount)
  }
}

extension Loading {
  /// Reads, checks and parses the object graph.
  package mutating func readObjectGraph() throws(Problem) -> ObjectGraph {
    let (run, tensor) = try checkpoint.objectGraphRun()
    let strings = try readStrings(run, of: tensor)
    let graph: ObjectGraph
    do {
      graph = try ObjectGraph(unpacking: Array(strings.element(0)), Scratch())
    } catch {
      throw checkpoint.problem(tensor, .corrupt, "is no object graph: \(error)")
    }
    if let fault = graph.fault {
      throw checkpoint.problem(tensor, .corrupt, "is no object graph: \(fault)")
    }
    return graph
  }
}
