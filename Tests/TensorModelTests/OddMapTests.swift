import TensorModel
import Testing

/// The table of odd scope mappings in the description of TensorFlow's behaviour, row by row.
@Suite struct OddMapTests {
  let catalog = Model.catalog(["v", "sc/a", "sc/b", "sc/sub/c", "sc", "a", "sc/n/a"])

  @Test(arguments: [
    ("sc/", "n", "n/a", "sc//a"), ("sc/", "n/m", "n/m/a", "sc/m/a"), ("/", "", "n/a", "/a"),
    ("/", "zzz", "v", ""), ("/", "", "v", ""), ("//", "n/", "n/a", "//a"),
    ("sc//", "n/", "n/a", "sc//a"), ("sc/", "n/", "n/zz", "sc/zz"),
    ("none/", "n/", "n/a", "none/a"),
    ("/", "b/", "b/part_x/c", ""), ("/", "x/", "x/part_0", ""),
  ])
  func `an odd scope seeks an odd tensor`(key: String, target: String, name: String, tensor: String)
  {
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    let found = problems(map, Model.variables([Name(name)]), catalog)
    #expect(found?.all.map(\.reason) == [.tensorNotFound])
    #expect(found?.first.tensor == Name(tensor))
  }

  @Test(arguments: [("sc", "n/"), ("sc", "n"), ("", "n/"), ("", ""), ("sc/a", "w:0")])
  func `a key that is no scope cannot be mapped to one`(key: String, target: String) {
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    let found = problems(map, Model.variables(["n/a", "w"]), catalog)
    #expect(found?.all.map(\.reason) == [.scopeOnly])
    #expect(found?.first.key == Name(key))
  }

  @Test func `a scope mapped to a variable is sought as a tensor`() {
    let variables = Model.variables(["n/a"])
    for target in ["n/a", .variable("n/a")] as [AssignmentMap.Target] {
      let found = problems(AssignmentMap([.init("sc/", target)]), variables, catalog)
      #expect(found?.first.reason == .tensorNotFound)
      #expect(found?.first.tensor == "sc/")
    }
  }

  @Test(arguments: [("x/", "//"), ("zz/", "none/"), ("sc/", "n/a/b"), ("x/", "n_/")])
  func `a scope of no variables assigns nothing`(key: String, target: String) throws {
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    let variables = Model.variables(["m/a", "v"])
    let resolution = try Resolution.resolve(map, variables: variables, in: catalog, .lenient)
    #expect(resolution == Resolution(assignments: [], unused: [0], uncovered: [0, 1]))
  }

  @Test(arguments: [
    ("sc/", "", "v", "v=sc"), ("/", "q", "éa", "éa=a"), ("sc/", "n//", "n//a", "n//a=sc/a"),
    ("sc/", "n/", "n/a/", "n/a/=sc/a"), ("sc/", "n/x", "n/", "n/=sc"), ("v", "/", "/", "/=v"),
    ("sc/", "/", "n/a", "n/a=sc/n/a"), ("v", "", "", "=v"),
  ])
  func `an odd scope that finds its tensor is assigned`(
    key: String, target: String, name: String, expected: String
  ) {
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    #expect(Outcome(map, Model.variables([Name(name)]), catalog).assignments == [expected])
  }

  @Test func `a partitioned variable is a member of its own scope`() throws {
    let outcome = Outcome(["sc/": "x/"], try Model.partitions("x"), catalog)
    #expect(outcome.assignments == ["x/part_0=sc@0,1", "x/part_1=sc@1,1"])
    // `x-a` and `x.a` sort between `x` and `x/a`.
    let variables = try Model.partitions("x") + Model.variables(["x-a", "x/a", "x.a"])
    #expect(Outcome(["sc/": "x/"], variables, catalog).assignments.last == "x/a=sc/a")
  }

  @Test func `a variable hides partitions of its name`() throws {
    let variables = try Model.partitions("n/a") + Model.variables(["n/a"])
    #expect(Outcome(["sc/": "n/"], variables, catalog).assignments == ["n/a=sc/a"])
  }

  @Test(arguments: [
    ("/", "/", "a/part_1"), ("/", "/", "a/part_x/b"), ("sc/", "x/part_0/b/", "x/part_0/b/c"),
  ])
  func `a name taken for a partition of nothing is refused`(
    key: String, target: String, name: String
  ) {
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    let variables = Model.variables([Name(name)])
    #expect(problems(map, variables, catalog)?.first.reason == .invalidRequest)
    #expect(problems(map, variables, catalog, .skipMissing)?.first.reason == .invalidRequest)
  }

  @Test func `a name cut short by its part mark stands for the variable before it`() {
    let variables = Model.variables(["x", "x/part_0/b/c"])
    #expect(Outcome(["sc/": "x/part_0/b/"], variables, catalog).assignments == ["x=sc"])
    #expect(Outcome(["sc/": "x/part_0/z/"], variables, catalog) == Outcome(assignments: []))
  }
}
