extension Resolution {
  /// The omissions of a map that TensorFlow accepts in silence, after which a job would train from
  /// random weights; nil if there are none, or if the options accept them.
  func omissions(
    _ map: AssignmentMap, _ variables: VariableList, _ matches: inout Matches, _ options: Options
  ) -> Problems? {
    var all: [Problem] = []
    var total = 0
    if !options.contains(.lenient), assignments.isEmpty || !unused.isEmpty {
      (all, total) = refusals(map, variables, &matches)
    }
    if options.contains(.requireAll) {
      for index in uncovered.prefix(Problems.maximumCount) {
        all.append(.variableNotCovered(variables.names[index]))
      }
      total += uncovered.count
    }
    return all.isEmpty ? nil : Problems(all, total: total)
  }

  /// The problems of a map that assigns nothing or has unused pairs: the first ones, and their
  /// number.
  private func refusals(
    _ map: AssignmentMap, _ variables: VariableList, _ matches: inout Matches
  ) -> (all: [Problem], total: Int) {
    if variables.count == 0 { return ([.nothingAssigned("no variables are declared")], 1) }
    if map.pairs.isEmpty { return ([.nothingAssigned("the map is empty")], 1) }
    let refusals = matches.refusals(ofUnused: unused)
    var all = refusals.described
    guard assignments.isEmpty else { return (all, refusals.total) }
    if skipped.isEmpty, all.count == 1 {
      all[0].reason = .nothingAssigned
      all[0].message = "nothing is assigned: " + all[0].message
      return (all, refusals.total)
    }
    return ([.nothingAssigned(cause)] + all, refusals.total + 1)
  }

  private var cause: String {
    guard !skipped.isEmpty else { return "no pair of the map matches a variable" }
    let missing = skipped.count { $0.storedShape == nil }
    return "all variables that the map matches are skipped: \(missing) without a tensor, "
      + "\(skipped.count - missing) of another shape"
  }
}

extension Problem {
  fileprivate static func nothingAssigned(_ cause: String) -> Problem {
    Problem(.nothingAssigned, "nothing is assigned: \(cause)")
  }

  fileprivate static func variableNotCovered(_ name: Name) -> Problem {
    Problem(
      .variableNotCovered, "variable \(name.inMessage) is matched by no pair of the map",
      variable: name)
  }
}
