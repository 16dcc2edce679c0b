/// How the objects of a graph are reached from its root: by the fewest steps, as TensorFlow names
/// what it stores.
package struct ObjectPaths: Sendable {
  /// A path of more bytes is cut at its front: a chain of objects has as many bytes in all paths as
  /// the square of its length.
  ///
  /// Chosen, not tuned.
  package static let maximumByteCount = 1024

  private let graph: ObjectGraph
  /// The row of `children` that first leads to each object; below 0 for the root, and for what no
  /// child leads to.
  private var arrivals: [Int32]
  /// The row of `slotVariables` of each object that is reached in no other way.
  private var slots: [UInt32: Int] = [:]

  /// Walks a graph without a fault, breadth first, each object once.
  package init(_ graph: ObjectGraph) {
    self.graph = graph
    arrivals = Array(repeating: -1, count: graph.count)
    guard graph.count > 0 else { return }
    let (objects, children) = (graph.children.objects, graph.children.children)
    var firstRows = [Int32](repeating: 0, count: graph.count + 1)
    for object in objects { firstRows[Int(object) + 1] += 1 }
    for object in 0..<graph.count { firstRows[object + 1] += firstRows[object] }
    var queue: [UInt32] = [0]
    var next = 0
    while next < queue.count {
      let object = Int(queue[next])
      next += 1
      for row in firstRows[object]..<firstRows[object + 1] {
        let child = children[Int(row)]
        guard child != 0, arrivals[Int(child)] < 0 else { continue }
        arrivals[Int(child)] = row
        queue.append(child)
      }
    }
    for (row, slot) in graph.slotVariables.slots.enumerated() where slots[slot] == nil {
      slots[slot] = row
    }
  }

  /// Whether a row of `children` is the one by whose name its child is known.
  package func isArrival(_ row: Int) -> Bool {
    arrivals[Int(graph.children.children[row])] == Int32(row)
  }

  /// The names on the way to an object, escaped and joined as in the checkpoint's keys; empty for the
  /// root, nil if no way leads there.
  package func path(to object: Int) -> Name? {
    if let path = childPath(to: object) { return Name(path) }
    guard let row = slots[UInt32(object)],
      let variable = childPath(to: Int(graph.slotVariables.variables[row])),
      let optimizer = childPath(to: Int(graph.slotVariables.objects[row]))
    else { return nil }
    let name = graph.slotVariables.names[row].escaped
    return Name(variable + "/.OPTIMIZER_SLOT/".utf8 + optimizer + "/".utf8 + name)
  }

  private func childPath(to object: Int) -> ArraySlice<UInt8>? {
    var steps: [[UInt8]] = []
    var byteCount = 0
    var object = object
    while object != 0 {
      let row = arrivals[object]
      guard row >= 0 else { return nil }
      let name = graph.children.names[Int(row)].escaped
      byteCount += name.count + 1
      guard byteCount <= ObjectPaths.maximumByteCount else {
        steps.append(Array("…".utf8))
        break
      }
      steps.append(name)
      object = Int(graph.children.objects[Int(row)])
    }
    return ArraySlice(steps.reversed().joined(separator: "/".utf8))
  }
}

extension Name {
  /// The name of a step as a key of a checkpoint spells it: a slash would begin another step, a dot
  /// what is TensorFlow's own.
  fileprivate var escaped: [UInt8] {
    var escaped: [UInt8] = []
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "."): escaped += [byte, byte]
      case UInt8(ascii: "/"): escaped += [UInt8(ascii: "."), UInt8(ascii: "S")]
      default: escaped.append(byte)
      }
    }
    return escaped
  }
}
