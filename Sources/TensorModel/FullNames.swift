/// The names that the variables of a TF2 checkpoint had in their program, and the tensors of each
/// name.
///
/// A checkpoint may store one value several times under one full name, as `export` of Keras 3 does.
/// A name is ambiguous only if its tensors differ. Those that differ in dtype, shape or slices are
/// known to differ here; the bytes of the others are compared by the caller, who reports the result
/// with `settle`. Until then the name stands for the first of its tensors, and is `uncompared`.
package struct FullNames: Sendable {
  /// The tensors by their full names, without those names whose tensors differ.
  private(set) var catalog: Catalog
  /// For each of them its position in the checkpoint's own catalog.
  private(set) var tensors: [Int32]
  /// For names whose tensors are not compared, by position in `catalog`: the tensors but the first.
  private var others: [Int: [Int32]]
  private let attributes: ObjectGraph.Attributes
  /// The rows of attributes with a full name in ascending order of full name and key, each pair
  /// once.
  private let rows: [Int32]

  /// Gathers the names of a graph; the catalog says which of its keys are tensors.
  package init(_ graph: ObjectGraph, in checkpoint: Catalog) {
    let attributes = graph.attributes
    let names = attributes.fullNames
    let order = NameOrder(names).indexes
    var (catalog, tensors, rows): (Catalog, [Int32], [Int32]) = (Catalog(), [], [])
    var others: [Int: [Int32]] = [:]
    var place = 0
    while place < order.count {
      var end = place + 1
      while end < order.count, names.span(order[end]).equals(names.span(order[place])) { end += 1 }
      defer { place = end }
      guard !names.range(order[place]).isEmpty else { continue }
      let distinct = Self.distinct(order[place..<end], by: attributes.keys)
      rows += distinct.map { Int32($0) }
      let stored = distinct.compactMap { checkpoint.position(of: attributes.keys.span($0)) }
      guard let tensor = stored.first, stored.count == distinct.count,
        stored.allSatisfy({ checkpoint.isStored($0, as: tensor) })
      else { continue }
      if stored.count > 1 { others[tensors.count] = stored.dropFirst().map { Int32($0) } }
      catalog.append(
        names[distinct[0]], checkpoint.dtype(tensor), checkpoint.shape(tensor),
        slices: checkpoint.slices(tensor))
      tensors.append(Int32(tensor))
    }
    catalog.index()
    (self.catalog, self.tensors, self.rows) = (catalog, tensors, rows)
    (self.attributes, self.others) = (attributes, others)
  }

  // MARK: Names of several tensors

  /// The positions in the checkpoint's catalog of the tensors that an uncompared name stands for.
  ///
  /// Of one dtype, shape and list of slices each. Empty for a name that needs no comparison.
  package func uncomparedTensors(of name: Name) -> [Int] {
    guard let position = catalog.position(of: name), let others = others[position] else {
      return []
    }
    return ([tensors[position]] + others).map { Int($0) }
  }

  /// Notes the result of a comparison: names whose tensors are equal, and names whose tensors
  /// differ.
  ///
  /// From then on, the former stand for the first of their tensors, and the latter are ambiguous.
  package mutating func settle(equal: [Name], different: [Name]) {
    for name in equal {
      if let position = catalog.position(of: name) { others[position] = nil }
    }
    let removed = Set(different.compactMap { catalog.position(of: $0) })
    guard !removed.isEmpty else { return }
    var (kept, keptTensors, keptOthers): (Catalog, [Int32], [Int: [Int32]]) = (Catalog(), [], [:])
    for position in 0..<catalog.count where !removed.contains(position) {
      keptOthers[keptTensors.count] = others[position]
      kept.append(
        catalog.name(position), catalog.dtype(position), catalog.shape(position),
        slices: catalog.slices(position))
      keptTensors.append(tensors[position])
    }
    kept.index()
    (catalog, tensors, others) = (kept, keptTensors, keptOthers)
  }

  /// The names at some positions of the catalog whose tensors are not compared, each once.
  fileprivate func uncompared(_ positions: some Sequence<Int>) -> [Name] {
    guard !others.isEmpty else { return [] }
    return Set(positions).filter { others[$0] != nil }.sorted().map { catalog.name($0) }
  }

  // MARK: Keys

  /// Rows in ascending order of their keys; of rows with equal keys, only the first.
  private static func distinct(_ rows: ArraySlice<Int>, by keys: NameList) -> [Int] {
    guard rows.count > 1 else { return Array(rows) }
    let all = Array(rows)
    var list = NameList()
    for row in all { list.append(keys.span(row)) }
    let ordered = NameOrder(list).indexes.map { all[$0] }
    var distinct = [ordered[0]]
    for row in ordered.dropFirst() where !keys.span(row).equals(keys.span(distinct.last ?? row)) {
      distinct.append(row)
    }
    return distinct
  }

  /// The keys that a name stands for, ascending; empty if no variable had the name.
  func keys(of name: Name) -> some RandomAccessCollection<Name> {
    let names = attributes.fullNames
    let lower = rows.indices.firstPosition { !names.span(Int(rows[$0])).precedes(name.bytes.span) }
    let upper = rows.indices.firstPosition { name.bytes.span.precedes(names.span(Int(rows[$0]))) }
    return rows[lower..<upper].lazy.map { attributes.keys[Int($0)] }
  }

  /// The approximate number of bytes of memory that the names take beside their graph.
  package var memoryByteCount: Int {
    catalog.memoryByteCount + (tensors.count + rows.count) * MemoryLayout<Int32>.stride
      + others.values.reduce(0) { $0 + 64 + $1.count * MemoryLayout<Int32>.stride }
  }
}

extension Catalog {
  /// Whether two tensors agree in all but their names and bytes.
  fileprivate func isStored(_ tensor: Int, as other: Int) -> Bool {
    tensor == other
      || dtype(tensor) == dtype(other) && shape(tensor) == shape(other)
        && slices(tensor) == slices(other)
  }
}

extension Resolution {
  /// Resolves a map whose keys are full names, or scopes of full names, as `resolve` does.
  ///
  /// A map that uses a name of different tensors is refused; TensorFlow's `warm_start` takes the
  /// last tensor. If names are returned as uncompared, the caller compares their tensors, calls
  /// `settle`, and resolves the map again.
  package static func resolve(
    _ map: AssignmentMap, variables: VariableList, in names: FullNames,
    _ options: Options = []
  ) throws(Problems) -> (resolution: Resolution, uncompared: [Name]) {
    var resolution = try resolve(
      map, variables: variables, in: names.catalog, names: names, options, nil)
    let uncompared = names.uncompared(resolution.assignments.lazy.map(\.tensor))
    for index in resolution.assignments.indices {
      let position = resolution.assignments[index].tensor
      resolution.assignments[index].tensor = Int(names.tensors[position])
    }
    return (resolution, uncompared)
  }
}
