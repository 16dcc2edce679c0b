import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// The results of maps: in all of TensorFlow's forms, the odd ones included, and as TensorFlow
/// answered.
@Suite struct SharedMapTests {
  @Test(
    arguments: try SharedCases.load("maps", as: MapCase.self)
      + SharedCases.load("tensorflow-maps", as: MapCase.self))
  func `a map gives what the shared cases say`(given: MapCase) throws {
    let variables = try given.declared
    let catalog = try given.catalog
    let map = try given.assignmentMap
    do throws(Problems) {
      let resolution = try Resolution.resolve(
        map, variables: variables, in: catalog, given.resolutionOptions)
      check(resolution, variables, catalog, given)
    } catch {
      check(error, given)
    }
  }

  private func check(
    _ resolution: Resolution, _ variables: [Variable], _ catalog: Catalog, _ given: MapCase
  ) {
    #expect(given.problems == nil && given.first == nil)
    #expect(
      resolution.assignments.map { assignment in
        Given(
          variables[assignment.variable].name, catalog.name(assignment.tensor),
          assignment.slice.map { [$0.starts, $0.counts] })
      }
        == given.assigned?.map { wanted in
          Given(
            Name(wanted.variable.bytes), Name(wanted.tensor.bytes),
            wanted.starts.map { [$0, wanted.counts ?? []] })
        })
    #expect(
      resolution.skipped.map { skipped in
        Given(
          variables[skipped.variable].name, skipped.tensor,
          skipped.storedShape.map { [Array($0.lengths)] })
      }
        == (given.skipped ?? []).map { wanted in
          Given(Name(wanted.variable.bytes), Name(wanted.tensor.bytes), wanted.shape.map { [$0] })
        })
    if let unused = given.unused { #expect(resolution.unused == unused) }
    if let uncovered = given.uncovered {
      #expect(resolution.uncovered.map { variables[$0].name } == uncovered.map { Name($0.bytes) })
    }
  }

  private func check(_ problems: Problems, _ given: MapCase) {
    #expect(given.assigned == nil)
    #expect(given.problems != nil || given.first != nil)
    if let wanted = given.problems {
      #expect(problems.all.map(\.reason.rawValue) == wanted.map(\.reason))
      #expect(problems.total == wanted.count)
    }
    let wanted = given.problems ?? [given.first].compactMap(\.self)
    for (problem, wanted) in zip(problems.all, wanted) {
      #expect(problem.reason.rawValue == wanted.reason)
      if let key = wanted.key { #expect(problem.key == Name(key.bytes)) }
      if let variable = wanted.variable { #expect(problem.variable == Name(variable.bytes)) }
      if let tensor = wanted.tensor { #expect(problem.tensor == Name(tensor.bytes)) }
    }
  }

  /// A variable, a tensor, and the slice or shape of it.
  private struct Given: Equatable {
    let variable: Name
    let tensor: Name
    let numbers: [[Int]]?

    init(_ variable: Name, _ tensor: Name, _ numbers: [[Int]]?) {
      self.variable = variable
      self.tensor = tensor
      self.numbers = numbers
    }
  }
}
