import Testing
import WarmstartTensorModel

/// Maps and models as large as real ones, in names that begin alike.
@Suite struct LargeMapTests {
  private static let names = (0..<3000).map { Name("model/encoder/layer_\($0 / 2)/w\($0 % 2)") }
  private let variables = Model.variables(names.shuffled())
  private let catalog = Model.catalog(names)

  /// The name of the tensor of each variable, in declared order.
  private func tensors(_ map: AssignmentMap, _ variables: [Variable]) throws -> [Name] {
    let resolution = try Resolution.resolve(map, variables: variables, in: catalog, .lenient)
    #expect(resolution.assignments.map(\.variable) == Array(variables.indices))
    return resolution.assignments.map { catalog.name($0.tensor) }
  }

  @Test(
    arguments: [
      ["/": "/"], ["model/": "model/"], ["model/encoder/": "model/encoder/"],
    ] as [AssignmentMap])
  func `a scope of many variables is resolved`(map: AssignmentMap) throws {
    #expect(try tensors(map, variables) == variables.map(\.name))
  }

  @Test func `many names and objects are resolved, with a scope and without`() throws {
    let pairs = variables.enumerated().map { index, variable in
      AssignmentMap.Pair(
        variable.name, index % 2 == 0 ? .name(variable.name) : .variable(variable.name))
    }
    let scope = AssignmentMap.Pair("/", "none/")
    #expect(try tensors(AssignmentMap(pairs), variables) == variables.map(\.name))
    #expect(try tensors(AssignmentMap(pairs + [scope]), variables) == variables.map(\.name))
  }

  @Test func `many scopes are resolved`() throws {
    let pairs = (0..<1500).map { number in
      let scope = Name("model/encoder/layer_\(number)/")
      return AssignmentMap.Pair(scope, .name(scope))
    }
    #expect(try tensors(AssignmentMap(pairs), variables) == variables.map(\.name))
  }

  @Test func `scopes that each lack the tensors of all variables end a resolution early`() throws {
    // Without its slash, a target is the scope of all variables, as in TensorFlow.
    let pairs = (0..<300).map { AssignmentMap.Pair(Name("none_\($0)/"), "model") }
    let found = try #require(problems(AssignmentMap(pairs), variables, catalog))
    #expect(found.first.reason == .tensorNotFound)
    #expect(found.total < 500_000)
  }

  @Test func `many partitions are resolved in the order of their numbers`() throws {
    let parts = try Model.partitions("model/w", [1000], 1000).shuffled()
    let catalog = Model.catalog(["model/w"], [1000])
    for map in [["/": "/"], ["model/w": "model/w"]] as [AssignmentMap] {
      let resolution = try Resolution.resolve(map, variables: parts, in: catalog)
      #expect(resolution.assignments.map(\.variable) == Array(parts.indices))
      #expect(resolution.assignments.map(\.slice?.starts) == parts.map { $0.partition?.offset })
    }
  }

  @Test func `a name declared twice among many is found whatever the map seeks`() {
    let twice = variables + [variables[7]]
    let objects = AssignmentMap(variables.map { .init($0.name, .variable($0.name)) })
    for map in [["/": "/"], [:], objects, ["v": "v"]] as [AssignmentMap] {
      let found = problems(map, twice, catalog)
      #expect(found?.all.map(\.variable) == [variables[7].name])
      #expect(found?.first.reason == .invalidRequest)
    }
  }
}
