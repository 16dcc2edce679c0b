/// The declarations of a request, checked before the map is resolved: names differ, and shapes
/// agree with partitions.
struct Declarations {
  /// The declared variables by name.
  let names: VariableIndex
  private let variables: VariableList

  /// Checks the variables and the map's variable objects, and adds faults to `problems`.
  init(
    _ variables: VariableList, assigning map: AssignmentMap, _ ends: ScopeEnds,
    _ problems: inout ProblemCollector
  ) {
    self.variables = variables
    names = VariableIndex(variables, for: map, ends)
    for index in names.duplicates { refuse(index, "is declared twice", &problems) }
    if variables.hasNegativeLengths || !variables.hasNoPartitions || !variables.gathers.isEmpty
      || !variables.axes.isEmpty
    {
      for index in 0..<variables.count {
        let (gather, axes) = (variables.gathers[index], variables.axes[index])
        if let fault = fault(of: variables[index], gather, axes) {
          refuse(index, fault, &problems)
        }
      }
    }
    for pair in map.pairs {
      switch pair.target {
      case .name: break
      case .variable(let name): check(name, pair, &problems)
      case .variables(let names): for name in names { check(name, pair, &problems) }
      }
    }
  }

  private func refuse(_ index: Int, _ fault: String, _ problems: inout ProblemCollector) {
    let name = variables.names[index]
    problems.add(
      Problem(.invalidRequest, "variable \(name.inMessage) \(fault)", variable: name))
  }

  private func check(
    _ name: Name, _ pair: AssignmentMap.Pair, _ problems: inout ProblemCollector
  ) {
    guard names.index(of: name) == nil else { return }
    let hint =
      if let found = name.withoutOutput, names.index(of: found) != nil {
        Cause.output.hint(found)
      } else {
        problems.suggestion(for: name) { nearest in
          for index in 0..<variables.count { nearest.offer(variables.names[index]) }
        }
      }
    problems.add(
      Problem(
        .invalidRequest,
        "key \(pair.key.inMessage): variable \(name.inMessage) is not declared\(hint)",
        key: pair.key, variable: name))
  }

  /// The contradiction in a variable's declaration, or nil.
  private func fault(of variable: Variable, _ gather: Gather?, _ axes: [Int]?) -> String? {
    if let shape = variable.shape,
      shape.lengths.contains(where: { $0 < 0 && $0 != Shape.unknownLength })
    {
      return "has a negative length in its shape \(shape.inMessage)"
    }
    if let gather, let axis = gather.axes.last?.axis {
      if variable.partition != nil {
        return "is a partition, which cannot be made of chosen rows or columns"
      }
      if let shape = variable.shape, axis >= shape.rank {
        return "has indices on axis \(axis), which its shape \(shape.inMessage) lacks"
      }
    }
    if let axes {
      if gather != nil { return "has chosen rows or columns, which cannot be transposed, too" }
      let rank = variable.shape?.rank ?? axes.count
      if !View.isOrder(axes, ofRank: rank) {
        return "is transposed to axes \(View.inMessage(axes)), expected each of \(rank) axes once"
      }
    }
    guard let partition = variable.partition else { return nil }
    guard let shape = variable.shape, shape.lengths.allSatisfy({ $0 >= 0 }) else {
      return "is a partition, whose shape must be known"
    }
    let fullShape = partition.fullShape
    guard fullShape.lengths.allSatisfy({ $0 >= 0 }) else {
      return "is a partition of full shape \(fullShape.inMessage), which must be known"
    }
    guard shape.rank == fullShape.rank, partition.offset.count == fullShape.rank else {
      return "is a partition of shape \(shape.inMessage) at an offset of "
        + "\(partition.offset.count) axes in full shape \(fullShape.inMessage): the ranks differ"
    }
    return nil
  }
}
