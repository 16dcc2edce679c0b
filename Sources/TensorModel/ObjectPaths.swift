/// The shortest paths from the root of a graph to its objects, which TensorFlow names tensors by.
package struct ObjectPaths: Sendable {
  /// Longer paths are cut at their front; chosen, not tuned.
  ///
  /// The paths of a chain of objects together have as many bytes as the square of its length.
  package static let maximumByteCount = 1024

  private let graph: ObjectGraph
  /// For each object the row of `children` that leads to it first; negative for the root, and for
  /// objects that are no part of another.
  private var arrivals: [Int32]
  /// The first row of `slotVariables` for each object that is a slot.
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

  /// Whether the path of a child ends with the name in this row of `children`.
  package func isArrival(_ row: Int) -> Bool {
    arrivals[Int(graph.children.children[row])] == Int32(row)
  }

  /// The names on the path to an object, escaped and joined as in the checkpoint's keys; empty for
  /// the root, nil if no path leads to the object.
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
