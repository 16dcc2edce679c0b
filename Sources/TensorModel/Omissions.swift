extension Resolution {
  /// What the map leaves undone that TensorFlow accepts in silence: a job would train from random weights.
  ///
  /// nil if the options accept it, too.
  func omissions(
    _ map: AssignmentMap, _ variables: VariableList, _ matches: inout Matches, _ options: Options
  ) -> Problems? {
    var all: [Problem] = []
    if !options.contains(.lenient) {
      if assignments.isEmpty || !unused.isEmpty { all = refusals(map, variables, &matches) }
    }
    var total = all.count
    if options.contains(.requireAll) {
      for index in uncovered.prefix(Problems.maximumCount) {
        all.append(.variableNotCovered(variables.names[index]))
      }
      total += uncovered.count
    }
    return all.isEmpty ? nil : Problems(all, total: total)
  }

  private func refusals(
    _ map: AssignmentMap, _ variables: VariableList, _ matches: inout Matches
  ) -> [Problem] {
    if variables.count == 0 { return [.nothingAssigned("no variables are declared")] }
    if map.pairs.isEmpty { return [.nothingAssigned("the map is empty")] }
    var refusals = matches.refusals(ofUnused: unused)
    guard assignments.isEmpty else { return refusals }
    if skipped.isEmpty, refusals.count == 1 {
      refusals[0].reason = .nothingAssigned
      refusals[0].message = "nothing is assigned: " + refusals[0].message
      return refusals
    }
    return [.nothingAssigned(cause)] + refusals
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
