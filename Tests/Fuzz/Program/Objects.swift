import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

/// Unpacks any bytes as an object graph, walks it, resolves the names it has, and sends it.
func fuzzObjects(_ bytes: [UInt8]) {
  let scratch = Scratch()
  guard let graph = try? ObjectGraph(parsing: bytes.span) else { return }
  check(
    graph.memoryByteCount <= ObjectGraph.memoryByteCount(ofMessage: bytes.count),
    "no more than is charged")
  sendAgain(graph, scratch)
  guard graph.fault == nil else { return }
  walk(graph)
  resolve(graph)
}

/// The graph survives being packed and unpacked.
private func sendAgain(_ graph: ObjectGraph, _ scratch: Scratch) {
  var reply = ListObjectsReply()
  reply.graph = graph
  for row in graph.attributes.objects.indices {
    reply.dtypes.append(row % 2 == 0 ? .float32 : nil)
    reply.shapes.append(row % 2 == 0 ? [row] : [])
  }
  var frame = FieldWriter()
  frame.begin(reply, scratch)
  do {
    let read = try ListObjectsReply(unpacking: frame.copy().rawSpan, scratch)
    check(
      read.graph == graph && read.dtypes == reply.dtypes && read.shapes == reply.shapes,
      "the same graph again")
  } catch {
    fatalError("the graph as packed: \(error)")
  }
}

/// Every object has the path that its first way from the root spells.
private func walk(_ graph: ObjectGraph) {
  let paths = ObjectPaths(graph)
  var arrivals = [Int](repeating: 0, count: graph.count)
  for row in graph.children.objects.indices where paths.isArrival(row) {
    arrivals[Int(graph.children.children[row])] += 1
  }
  for object in 0..<min(graph.count, 256) {
    check(arrivals[object] <= (object == 0 ? 0 : 1), "one first way")
    let path = paths.path(to: object)
    check(arrivals[object] == 0 || path != nil, "a path to what is reached")
    let limit = 2 * ObjectPaths.maximumByteCount + 2 * ObjectGraph.maximumNameByteCount + 64
    check((path?.bytes.count ?? 0) <= limit, "a path of bounded length")
  }
}

/// Every name stands for its tensor, or is refused for the reason that a look at all rows gives.
private func resolve(_ graph: ObjectGraph) {
  let rows = graph.attributes
  var keys: [Name: Set<Name>] = [:]
  for row in rows.objects.indices { keys[rows.fullNames[row], default: []].insert(rows.keys[row]) }
  // Of all keys, every other one is a tensor.
  let all = Set(rows.objects.indices.map { rows.keys[$0] }).filter { !$0.bytes.isEmpty }.sorted()
  let stored = all.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
  var catalog = Catalog()
  for name in stored { catalog.append(name, .float32, [2]) }
  catalog.index()
  var names = FullNames(graph, in: catalog)
  let variables = VariableList([Variable("v", dtype: .float32, shape: [2], isInStore: false)])
  for (name, standsFor) in keys.prefix(64) {
    let map = AssignmentMap([.init(name, .variable("v"))])
    do throws(Problems) {
      let (found, uncompared) = try Resolution.resolve(map, variables: variables, in: names)
      let tensors = found.assignments.map { catalog.name($0.tensor) }
      check(tensors == Array(standsFor.sorted().prefix(1)), "the first tensor of the name")
      check(uncompared == (standsFor.count > 1 ? [name] : []), "what is to be compared")
      names.settle(equal: [], different: uncompared)
      let rest = try Resolution.resolve(map, variables: variables, in: names)
      check(standsFor.count == 1 && rest.uncompared.isEmpty, "different tensors to be refused")
    } catch {
      let isAmbiguous = standsFor.count > 1 && !name.bytes.isEmpty
      check(
        error.first.reason == (isAmbiguous ? .ambiguousName : .tensorNotFound), "the right reason")
      let isFound = standsFor.count == 1 && stored.contains(standsFor.first ?? "")
      check(!isFound || name.bytes.isEmpty, "a name of one tensor to be found")
    }
  }
}
