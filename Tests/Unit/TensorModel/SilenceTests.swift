import Testing
import WarmstartTensorModel

/// What TensorFlow accepts silently is refused by default, and reported on request.
@Suite struct SilenceTests {
  let catalog = Model.catalog(["bert/a", "bert/b", "w"])

  private func strict(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolution.Options = []
  ) -> Problems? {
    problems(map, variables, catalog, options)
  }

  @Test func `only the pair that matches no variable is refused`() {
    let found = strict(["w": "w", "bert/": "studnet/"], Model.variables(["w", "student/a"]))
    #expect(found?.all.map(\.reason) == [.pairUnused])
    #expect(found?.first.key == "bert/")
    #expect(
      found?.first.message
        == "key bert/: no variable is in scope studnet/; nearest: student/")
  }

  @Test(
    arguments: [
      (
        ["bert/": "Student/"], ["student/a"],
        "key bert/: no variable is in scope Student/; there is student/, which differs only in upper "
          + "and lower case"
      ),
      (
        ["student/": "bert/"], ["student/a"],
        "key student/: no variable is in scope bert/; key and target are swapped: bert/ is in the "
          + "checkpoint"
      ),
      ([:], ["a"], "the map is empty"), (["bert/": "a/"], [], "no variables are declared"),
      (
        ["x/": "one/", "bert/": "two/"], ["a"], "no pair of the map matches a variable"
      ),
    ] as [(AssignmentMap, [Name], String)])
  func `a map that assigns nothing is refused with the cause`(
    map: AssignmentMap, variables: [Name], cause: String
  ) {
    let found = strict(map, Model.variables(variables))
    #expect(found?.first.reason == .nothingAssigned)
    #expect(found?.first.message == "nothing is assigned: " + cause)
  }

  @Test func `a map whose variables are all skipped is refused`() {
    let variables = [
      Variable("bert/x", dtype: .float32, shape: [2]), Variable("w", dtype: .float32, shape: [3]),
    ]
    let options: Resolution.Options = [.skipMissing, .skipMismatched]
    let found = strict(["/": "/"], variables, options)
    #expect(found?.all.map(\.reason) == [.nothingAssigned])
    #expect(found?.first.message.hasSuffix("1 without a tensor, 1 of another shape") == true)
  }

  @Test func `variables that no pair matches are counted beyond the most that are listed`() {
    let many = Model.variables(["w"] + (0..<1000).map { Name("v\($0)") })
    #expect(strict(["w": "w"], many, .requireAll)?.total == 1000)
  }

  @Test func `pairs that match no variable are counted beyond the most that are listed`() {
    let unused = (0..<1000).map { AssignmentMap.Pair("bert/", .name(Name("\($0)\($0)/"))) }
    let found = strict(
      AssignmentMap(unused + [.init("w", "w")]), Model.variables(["w", "v"]), .requireAll)
    #expect(found?.all.count == Problems.maximumCount)
    #expect(found?.total == 1001)
    let none = strict(AssignmentMap(unused), Model.variables(["w"]))
    #expect(none?.first.reason == .nothingAssigned)
    #expect(none?.total == 1001)
  }

  @Test func `pairs that match no variable for one cause are one problem, and all are counted`() {
    let unused = (0..<1000).map { AssignmentMap.Pair("bert/", .name(Name("S/\($0)/"))) }
    let variables = Model.variables((0..<1000).map { Name("s/\($0)/a") })
    let found = strict(AssignmentMap(unused), variables)
    #expect(found?.all.count == 1)
    #expect(found?.total == 1000)
    #expect(found?.first.message.hasSuffix("; the same holds for 999 more names") == true)
  }

  @Test func `where missing tensors are skipped, another shape points to its own option`() throws {
    let hint = "; tensors of another shape are skipped with the option 'skip mismatched'"
    let head = [Variable("w", dtype: .float32, shape: [3])]
    let parts = try Model.partitions("w", [4])
    let cases: [(AssignmentMap, [Variable])] = [
      (["w": "w"], head), (["/": "/"], head), (["w": "w"], parts),
    ]
    for (map, variables) in cases {
      #expect(strict(map, variables, .skipMissing)?.first.message.hasSuffix(hint) == true)
      #expect(strict(map, variables)?.first.message.hasSuffix(hint) == false)
    }
  }

  @Test func `unused tensors are counted, and the first named`() {
    let names = (0..<200).map { Name("t\($0 + 1000)") }
    let catalog = Model.catalog(names)
    let used = (0..<200).filter { $0 != 7 && $0 != 130 }
      .map { Resolution.Assignment(variable: 0, tensor: $0) }
    let two = UnusedTensors(of: catalog, after: used + used, isNaming: true)
    #expect(two.count == 2)
    #expect(UnusedTensors(of: catalog, after: used, isNaming: false).names.count == 0)
    #expect((0..<two.names.count).map { two.names[$0] } == ["t1007", "t1130"])
    let all = UnusedTensors(of: catalog, after: [], isNaming: true)
    #expect(all.count == 200)
    #expect((0..<all.names.count).map { all.names[$0] } == Array(names.prefix(16)))
    let long = Model.catalog(["a", Name([UInt8](repeating: 0x78, count: 5000)), "y"])
    #expect(UnusedTensors(of: long, after: [], isNaming: true).names.count == 1)
    #expect(UnusedTensors(of: Catalog(), after: [], isNaming: true) == UnusedTensors())
  }
}
