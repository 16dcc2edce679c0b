import WarmstartTensorModel

private typealias Tensor = (name: Name, dtype: DataType, shape: Shape, slices: [TensorSlice])

/// Resolves maps of any kind, and compares small ones with what the reference says.
func fuzzAssignmentMap(_ bytes: [UInt8]) {
  var choices = Choices(bytes)
  let variables = Array(choices.list(0..<6) { $0.variables() }.joined())
  let tensors = choices.tensors(for: variables)
  let map = choices.map(variables)
  let options: Resolution.Options =
    choices.flag() ? .lenient : Resolution.Options(rawValue: UInt8(choices.below(16)))
  var catalog = Catalog()
  for tensor in tensors {
    catalog.append(tensor.name, tensor.dtype, tensor.shape, slices: tensor.slices)
  }
  catalog.index()
  var outcome: [String] = []
  var reason: Reason?
  do throws(Problems) {
    let resolution = try Resolution.resolve(
      map, variables: variables, in: catalog, options)
    check(resolution, variables, catalog)
    outcome = resolution.assignments.map { assignment in
      let slice = assignment.slice.map { "@\($0)" } ?? ""
      return "\(variables[assignment.variable].name)=\(catalog.name(assignment.tensor))\(slice)"
    }
  } catch {
    reason = error.first.reason
  }
  // The reference looks at each element, and does not ask whether a request contradicts itself.
  if choices.isExtreme || options != .lenient || reason == .invalidRequest { return }
  var reference = Reference(tensors)
  reference.variables = variables
  do throws(Reference.Refusal) {
    let expected = try reference.resolve(map)
    check(outcome == expected && reason == nil, "\(expected), not \(outcome)")
  } catch {
    check(reason == error.reason, "\(error.reason), not \(reason as Reason?)")
  }
}

private func check(_ resolution: Resolution, _ variables: [Variable], _ catalog: Catalog) {
  let assigned = resolution.assignments.map(\.variable)
  let order = assigned + resolution.skipped.map(\.variable)
  check(Set(order).count == order.count && assigned == assigned.sorted(), "each variable once")
  for assignment in resolution.assignments {
    let variable = variables[assignment.variable]
    let shape = catalog.shape(assignment.tensor)
    check(variable.dtype == catalog.dtype(assignment.tensor), "the same dtype")
    if let slice = assignment.slice { check(slice.fits(shape), "a slice of the tensor") }
    let given = assignment.slice?.shape ?? shape
    check(variable.shape?.accepts(given) ?? true, "the variable's shape")
  }
}

extension Choices {
  /// A variable, or partitions of one.
  fileprivate mutating func variables() -> [Variable] {
    let (name, dtype) = (name(), dtype())
    switch below(4) {
    case 0:
      return [Variable(name, dtype: dtype, shape: flag() ? shape() : nil, isInStore: below(4) > 0)]
    case 1:
      let full = shape()
      let part = slice(full.rank)
      let partition = Partition(of: self.name(), fullShape: full, offset: part.starts)
      return [Variable(name, dtype: dtype, shape: part.shape, partition: partition)]
    default:
      let shape = shape()
      // A trainer may cut its own variable in 2^18: that is its memory, beyond what a request may
      // take.
      guard shape.lengths.allSatisfy({ $0 <= 1 << 16 }) else { return [] }
      guard let parts = try? partitioner().cut(name, dtype, shape) else {
        return []
      }
      check(parts.allSatisfy { $0.slice?.fits(shape) ?? false }, "partitions of the variable")
      let sum = parts.reduce(0) { $0 + ($1.shape?.elementCount ?? 0) }
      check(sum == shape.elementCount, "partitions that cover the variable")
      return Array(parts.prefix(5))
    }
  }

  /// Tensors of any name, and such as the variables could be mapped to.
  fileprivate mutating func tensors(for variables: [Variable]) -> [Tensor] {
    var tensors: [Name: Tensor] = [:]
    for variable in variables {
      let name = variable.partition?.fullName ?? variable.name
      let shape = variable.partition?.fullShape ?? variable.shape ?? stored()
      guard shape.elementCount != nil else { continue }
      for name in [name, Name("a/\(name)"), self.name()] where flag() {
        tensors[name] = (name, variable.dtype, shape, [])
      }
    }
    for name in list(0..<4, { $0.name() }) {
      let shape = stored()
      guard shape.elementCount != nil else { continue }
      tensors[name] = (name, dtype(), shape, [])
    }
    return tensors.values.sorted { $0.name < $1.name }.map { tensor in
      let slices = list(0..<5) { $0.slice(tensor.shape.rank) }
      return (tensor.name, tensor.dtype, tensor.shape, slices)
    }
  }

  fileprivate mutating func map(_ variables: [Variable]) -> AssignmentMap {
    let names = variables.map(\.name) + variables.compactMap(\.partition?.fullName) + [name()]
    return AssignmentMap(
      list(0..<5) { choices in
        let key = choices.flag() ? choices.one(of: names) : choices.name()
        switch choices.below(5) {
        case 0: return .init(key, .variable(choices.one(of: names)))
        case 1: return .init(key, .variables(choices.list(0..<4) { $0.one(of: names) }))
        case 2: return .init(key, .name(choices.name()))
        case 3: return .init(key, .name(choices.one(of: names)))
        default:
          return .init(choices.one(of: ["/", "a/", "b/"]), .name(choices.one(of: ["/", "a/"])))
        }
      })
  }
}

extension Variable {
  fileprivate var slice: TensorSlice? {
    guard let shape, let partition else { return nil }
    return TensorSlice(starts: partition.offset, counts: Array(shape.lengths))
  }
}
