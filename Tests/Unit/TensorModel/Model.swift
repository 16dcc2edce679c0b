import WarmstartTensorModel

/// Short ways for tests to write a trainer's variables and a checkpoint's tensors.
enum Model {
  /// A catalog of tensors, whose stored slices are given as pairs of starts and counts.
  static func catalog(
    _ tensors: [(name: Name, dtype: DataType, shape: Shape, slices: [TensorSlice])]
  ) -> Catalog {
    var catalog = Catalog()
    for tensor in tensors.sorted(by: { $0.name < $1.name }) {
      catalog.append(tensor.name, tensor.dtype, tensor.shape, slices: tensor.slices)
    }
    catalog.index()
    return catalog
  }

  /// A catalog of float tensors of one shape.
  static func catalog(_ names: [Name], _ shape: Shape = [2]) -> Catalog {
    catalog(names.map { ($0, .float32, shape, []) })
  }

  /// Float variables of one shape.
  static func variables(_ names: [Name], _ shape: Shape = [2]) -> [Variable] {
    names.map { Variable($0, dtype: .float32, shape: shape) }
  }

  /// The partitions of a float variable, cut on its first axis.
  static func partitions(_ name: Name, _ shape: Shape = [2], _ count: Int = 2) throws -> [Variable]
  {
    try Partitioner.fixedSize(shards: count).cut(name, .float32, shape)
  }
}

/// The result of a map: assignments by name, or problems.
struct Outcome: Equatable, CustomStringConvertible {
  var assignments: [String] = []
  var reasons: [Reason] = []
  var tensors: [Name?] = []

  /// Resolves a map.
  init(
    _ map: AssignmentMap, _ variables: [Variable], _ catalog: Catalog,
    _ options: Resolution.Options = .lenient
  ) {
    do throws(Problems) {
      let resolution = try Resolution.resolve(
        map, variables: variables, in: catalog, options)
      assignments = resolution.assignments.map { assignment in
        let slice = assignment.slice.map { "@\($0)" } ?? ""
        return "\(variables[assignment.variable].name)=\(catalog.name(assignment.tensor))\(slice)"
      }
    } catch {
      reasons = error.all.map(\.reason)
      tensors = error.all.map(\.tensor)
    }
  }

  init(assignments: [String]) {
    self.assignments = assignments
  }

  init(reason: Reason, tensor: Name?) {
    reasons = [reason]
    tensors = [tensor]
  }

  var description: String {
    reasons.isEmpty ? assignments.joined(separator: " ") : "\(reasons) \(tensors)"
  }
}

/// Resolves a map that must be refused, and returns its problems.
func problems(
  _ map: AssignmentMap, _ variables: [Variable], _ catalog: Catalog,
  _ options: Resolution.Options = []
) -> Problems? {
  do throws(Problems) {
    _ = try Resolution.resolve(map, variables: variables, in: catalog, options)
    return nil
  } catch {
    return error
  }
}

extension Name {
  /// A name of any bytes.
  init(_ bytes: [UInt8]) {
    self.init(bytes[...])
  }
}
