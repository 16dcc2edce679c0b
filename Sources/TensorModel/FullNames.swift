/// What the variables of a TF2 checkpoint were called, and for which tensors these names stand.
package struct FullNames: Sendable {
  /// The tensors by their full names: those of names that stand for one tensor, and no other.
  let catalog: Catalog
  /// Where each of them is in the checkpoint's own catalog.
  let tensors: [Int32]
  private let attributes: ObjectGraph.Attributes
  /// The rows of attributes with a full name in ascending order of full name and key, each pair once.
  private let rows: [Int32]

  /// Gathers the names of a graph; which of its keys are tensors the catalog says.
  package init(_ graph: ObjectGraph, in checkpoint: Catalog) {
    let attributes = graph.attributes
    let names = attributes.fullNames
    let order = NameOrder(names).indexes
    var (catalog, tensors, rows): (Catalog, [Int32], [Int32]) = (Catalog(), [], [])
    var place = 0
    while place < order.count {
      var end = place + 1
      while end < order.count, names.span(order[end]).equals(names.span(order[place])) { end += 1 }
      defer { place = end }
      guard !names.range(order[place]).isEmpty else { continue }
      let distinct = Self.distinct(order[place..<end], by: attributes.keys)
      rows += distinct.map { Int32($0) }
      guard distinct.count == 1,
        let tensor = checkpoint.position(of: attributes.keys.span(distinct[0]))
      else { continue }
      catalog.append(
        names[distinct[0]], checkpoint.dtype(tensor), checkpoint.shape(tensor),
        slices: checkpoint.slices(tensor))
      tensors.append(Int32(tensor))
    }
    catalog.index()
    (self.catalog, self.tensors, self.rows) = (catalog, tensors, rows)
    self.attributes = attributes
  }

  /// Rows in ascending order of their keys, of equal ones the first.
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

  /// The keys that a name stands for, ascending; none for a name that no variable had.
  func keys(of name: Name) -> some RandomAccessCollection<Name> {
    let lower = firstPlace { attributes.fullNames.span($0).precedes(name.bytes.span) }
    let upper = firstPlace { !name.bytes.span.precedes(attributes.fullNames.span($0)) }
    return rows[lower..<upper].lazy.map { attributes.keys[Int($0)] }
  }

  /// The place in `rows` of the first row for which the condition, which holds for those before, fails.
  private func firstPlace(where precedes: (Int) -> Bool) -> Int {
    var range = rows.indices
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if precedes(Int(rows[middle])) {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return range.lowerBound
  }

  /// The memory that the names take beside their graph, in bytes, about.
  package var memoryByteCount: Int {
    catalog.memoryByteCount + (tensors.count + rows.count) * MemoryLayout<Int32>.stride
  }
}

extension Resolution {
  /// Resolves a map whose keys are full names, or scopes of full names, as `resolve` does.
  ///
  /// A name that stands for several tensors is refused where it is used; TensorFlow's `warm_start`
  /// takes the last of them.
  package static func resolve(
    _ map: AssignmentMap, variables: VariableList, in names: FullNames,
    _ options: Options = []
  ) throws(Problems) -> Resolution {
    var resolution = try resolve(
      map, variables: variables, in: names.catalog, names: names, options)
    for index in resolution.assignments.indices {
      let position = resolution.assignments[index].tensor
      resolution.assignments[index].tensor = Int(names.tensors[position])
    }
    return resolution
  }
}
