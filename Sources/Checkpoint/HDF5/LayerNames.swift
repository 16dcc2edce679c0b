import WarmstartTensorModel

/// The names that layers had in the Keras model that was saved.
///
/// The paths in Keras's files have the attributes and classes of layers (`layers/dense_1`), which
/// are the same for each model of that code. The names that the program gave the layers are in the
/// attribute `name` of the groups with the variables (`layers/dense_1/vars`). The names of
/// variables, such as `kernel`, are in no file, only their numbers.
///
/// A layer's full name begins with those of the layers around it: variable 1 of the layer `query`
/// in the layer `attention` is `attention/query/1`. The model's own name is no part of it.
struct LayerNames: Sendable {
  /// The longest path and name, in bytes, and the deepest layer that gets one; chosen, not tuned.
  private static let maximumByteCount = 1024
  private static let maximumDepth = 16
  private static let slash = UInt8(ascii: "/")
  private static let variables = Array("vars".utf8)

  /// The names of layers by the paths of the groups with their variables, without `/vars`.
  private var names: [Name: Name] = [:]

  /// Adds the name of the layer whose variables are in a group; ignores other groups, and a layer
  /// whose name is known, from another file of the checkpoint.
  ///
  /// - Returns: Whether the name was added.
  mutating func add(_ name: ArraySlice<UInt8>, ofGroup path: [UInt8]) -> Bool {
    guard let layer = Self.layer(ofGroup: path[...]), !name.isEmpty,
      name.count <= Self.maximumByteCount, names[Name(layer)] == nil
    else { return false }
    names[Name(layer)] = Name(Array(name)[...])
    return true
  }

  /// Whether the path of a group is that of variables.
  static func isGroup(_ path: [UInt8]) -> Bool { layer(ofGroup: path[...]) != nil }

  /// The path of the layer with its variables in a group; nil for other groups.
  private static func layer(ofGroup path: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard path.count > variables.count else { return path == variables[...] ? [] : nil }
    return path.suffix(variables.count + 1).elementsEqual([slash] + variables)
      ? path.dropLast(variables.count + 1) : nil
  }

  /// The full name of a variable from the path of its dataset; nil if its layer has no name.
  func fullName(of path: ArraySlice<UInt8>) -> Name? {
    guard !names.isEmpty, path.count <= Self.maximumByteCount,
      let last = path.lastIndex(of: Self.slash), let layer = Self.layer(ofGroup: path[..<last]),
      let own = names[Name(layer)]
    else { return nil }
    var name: [UInt8] = []
    var depth = 0
    for end in layer.indices where layer[end] == Self.slash {
      depth += 1
      guard depth < Self.maximumDepth else { return nil }
      if let outer = names[Name(layer[..<end])] { name += outer.bytes + [Self.slash] }
    }
    name += own.bytes + path[last...]
    return name.count <= Self.maximumByteCount ? Name(name[...]) : nil
  }
}

extension LayerNames {
  /// Whether no layer has a name.
  var isEmpty: Bool { names.isEmpty }

  /// The memory that the names take, in bytes, approximately.
  var memoryByteCount: Int {
    names.reduce(0) { $0 + 96 + $1.key.bytes.count + $1.value.bytes.count }
  }

  /// Makes a graph of one object, which has all variables whose layers have names.
  ///
  /// - Parameters:
  ///   - catalog: The names of the checkpoint's tensors.
  func graph(of catalog: Catalog) -> ObjectGraph {
    var graph = ObjectGraph()
    graph.count = 1
    for index in 0..<catalog.count {
      let path = catalog.name(index)
      guard let name = fullName(of: path.bytes) else { continue }
      graph.attributes.objects.append(0)
      graph.attributes.names.append(path)
      graph.attributes.fullNames.append(name)
      graph.attributes.keys.append(path)
    }
    return graph
  }

  /// The memory that a graph takes while it is made, in bytes, approximately.
  func graphByteCount(of catalog: Catalog) -> Int {
    // Columns that grow take twice their bytes.
    (0..<catalog.count).reduce(0) { sum, index in
      let path = catalog.name(index).bytes
      return sum + 2 * (40 + 2 * path.count + (fullName(of: path)?.bytes.count ?? 0))
    }
  }
}
