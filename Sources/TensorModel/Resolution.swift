/// The result of an assignment map: for each variable the tensor, or the slice of one, to start
/// from.
package struct Resolution: Sendable, Hashable {
  /// Where one variable's elements come from.
  package struct Assignment: Sendable, Hashable {
    /// The index of the variable among those declared.
    package var variable: Int
    /// The tensor's position in the catalog.
    package var tensor: Int
    /// The part of the tensor that the variable gets; nil for the whole.
    package var slice: TensorSlice?

    /// Assigns a tensor, or a slice of it, to a variable.
    package init(variable: Int, tensor: Int, slice: TensorSlice? = nil) {
      self.variable = variable
      self.tensor = tensor
      self.slice = slice
    }
  }

  /// A variable that stays uninitialized because its tensor is missing or has another shape.
  package struct Skipped: Sendable, Hashable {
    /// The index of the variable among those declared.
    package var variable: Int
    /// The tensor; the last one, if several were to initialize the variable.
    package var tensor: Name
    /// The shape of the tensor, which is not that of the variable; nil if the checkpoint lacks it.
    package var storedShape: Shape?

    /// Notes a variable that is skipped.
    package init(variable: Int, tensor: Name, storedShape: Shape? = nil) {
      self.variable = variable
      self.tensor = tensor
      self.storedShape = storedShape
    }
  }

  /// One for each variable that is initialized, in declared order.
  package var assignments: [Assignment]
  /// With `Options.skipMissing` or `skipMismatched`, variables that were matched but are not
  /// initialized, in declared order.
  package var skipped: [Skipped]
  /// The indexes, in the map's order, of pairs that matched no variable.
  package var unused: [Int]
  /// Variables that no pair matched, ascending: mostly those that the trainer adds.
  package var uncovered: [Int]

  /// Makes a resolution from its parts.
  package init(
    assignments: [Assignment], skipped: [Skipped] = [], unused: [Int] = [], uncovered: [Int] = []
  ) {
    self.assignments = assignments
    self.skipped = skipped
    self.unused = unused
    self.uncovered = uncovered
  }
}

extension Resolution {
  /// Resolves a map as `tf.compat.v1.train.init_from_checkpoint` does, once for all variables.
  ///
  /// Throws all problems of the first kind that occurs: contradictions in the request; the errors
  /// that TensorFlow raises at the call, pair by pair in the order of the keys, and then those that
  /// it raises when the initializers run, variable by variable; omissions that TensorFlow accepts
  /// in silence, unless `options` accept them. Stricter than TensorFlow in one more point: scope
  /// mappings check shapes.
  ///
  /// - Parameter separator: The character that ends a scope's name beside `/`; nil for that of the
  ///   catalog.
  package static func resolve(
    _ map: AssignmentMap, variables: [Variable], in catalog: Catalog,
    _ options: Options = [], separator: UInt8? = nil
  ) throws(Problems) -> Resolution {
    try resolve(
      map, variables: VariableList(variables), in: catalog, options, separator: separator)
  }

  /// Resolves a map as above, for a list of variables.
  package static func resolve(
    _ map: AssignmentMap, variables: VariableList, in catalog: Catalog,
    _ options: Options = [], separator: UInt8? = nil
  ) throws(Problems) -> Resolution {
    try resolve(map, variables: variables, in: catalog, names: nil, options, separator)
  }

  /// Resolves a map; `names` is nil unless the catalog is that of full names.
  static func resolve(
    _ map: AssignmentMap, variables: VariableList, in catalog: Catalog, names: FullNames?,
    _ options: Options, _ separator: UInt8?
  ) throws(Problems) -> Resolution {
    var problems = ProblemCollector()
    let ends = ScopeEnds(separator: separator ?? catalog.separator)
    let declarations = Declarations(variables, assigning: map, ends, &problems)
    try problems.check()
    let store = VariableStore(declarations.names)
    var matches = Matches(of: map, to: store, in: catalog, names: names, options, ends)
    var reads = Reads(of: variables, in: catalog, areCast: options.contains(.cast))
    var resolution = Resolution(assignments: [])
    resolution.assignments.reserveCapacity(variables.count)
    do throws(Problem) {
      var allowance = Allowance()
      try matches.match(&problems, &allowance)
      for index in 0..<variables.count {
        let match = matches.matches[index]
        guard match.tensor >= 0 else {
          resolution.leave(index, matches.lacked(by: index))
          continue
        }
        let tensor = Int(match.tensor)
        do throws(Reads.Refusal) {
          let slice = try reads.slice(of: index, match, &allowance)
          resolution.assignments.append(
            Assignment(variable: index, tensor: tensor, slice: slice))
        } catch {
          if options.contains(.skipMismatched), let shape = error.otherShape {
            resolution.skipped.append(
              Skipped(variable: index, tensor: catalog.name(tensor), storedShape: shape))
            continue
          }
          let key = map.pairs[Int(match.pair)].key
          func refuse(_ refusal: Reads.Refusal) {
            let hint = refusal.hint(variables, index, catalog.dtype(tensor), options, &problems)
            problems.add(
              refusal.problem(
                variables[index], variables.choice(index), catalog.name(tensor), hint, key: key))
          }
          refuse(error)
          // TensorFlow stops at the dtype, but a map is mended faster if both are known.
          if case .dtype = error, !options.contains(.skipMismatched),
            let other = reads.mismatch(of: index, match)
          {
            refuse(other)
          }
        }
      }
    } catch {
      problems.add(error)
    }
    try problems.check()
    resolution.unused = matches.unused
    if let omissions = resolution.omissions(map, variables, &matches, options) { throw omissions }
    return resolution
  }

  /// Notes a variable without a match, and its missing tensor if a pair named one.
  private mutating func leave(_ variable: Int, _ tensor: Name?) {
    if let tensor {
      skipped.append(Skipped(variable: variable, tensor: tensor))
    } else {
      uncovered.append(variable)
    }
  }
}
