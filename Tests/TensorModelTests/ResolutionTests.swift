import TensorModel
import Testing

/// What maps assign, in each of TensorFlow's forms and in its odd ones.
@Suite struct ResolutionTests {
  let catalog = Model.catalog(["v", "sc/a", "sc/b", "sc/sub/c", "a", "n/a", "big"])

  @Test func `a scope maps all variables of the scope and no other`() {
    let variables = Model.variables(["n/sub/c", "n_1/a", "n/a", "na"])
    let outcome = Outcome(["sc/": "n/"], variables, catalog)
    #expect(outcome.assignments == ["n/sub/c=sc/sub/c", "n/a=sc/a"])
  }

  @Test func `a name maps one variable`() {
    let outcome = Outcome(["sc/a": "n/x"], Model.variables(["n/x", "n/a"]), catalog)
    #expect(outcome.assignments == ["n/x=sc/a"])
  }

  @Test func `a name maps the partitions of a variable`() throws {
    let outcome = Outcome(["sc/a": "n/x"], try Model.partitions("n/x"), catalog)
    #expect(outcome.assignments == ["n/x/part_0=sc/a@0,1", "n/x/part_1=sc/a@1,1"])
  }

  @Test func `an object outside the store is mapped`() {
    let variable = Variable("q", .float32, [2], isInStore: false)
    #expect(Outcome(["v": .variable("q")], [variable], catalog).assignments == ["q=v"])
  }

  @Test func `some partitions in any order are mapped as a list`() throws {
    let variables = try Model.partitions("q", [6], 3)
    let catalog = Model.catalog(["big"], [6])
    let outcome = Outcome(["big": .variables(["q/part_2", "q/part_0"])], variables, catalog)
    #expect(outcome.assignments == ["q/part_0=big@0,2", "q/part_2=big@4,2"])
  }

  @Test(arguments: [
    ("/", "n/", "n/a=a"), ("n/", "/", "a=n/a"), ("/", "/", "a=a"), ("sc/", "/", "a=sc/a"),
  ])
  func `a root is a scope of all`(key: String, target: String, expected: String) {
    let variables = Model.variables([Name(expected.prefix { $0 != "=" })])
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    #expect(Outcome(map, variables, catalog).assignments == [expected])
  }

  @Test func `partitions of different maps share one tensor`() throws {
    let variables = try Model.partitions("p", [6], 2) + Model.partitions("q", [6], 3)
    let pairs: [AssignmentMap.Pair] = [.init("t", "p"), .init("t", "q")]
    let outcome = Outcome(AssignmentMap(pairs), variables, Model.catalog(["t"], [6]))
    #expect(
      outcome.assignments == [
        "p/part_0=t@0,3", "p/part_1=t@3,3", "q/part_0=t@0,2", "q/part_1=t@2,2", "q/part_2=t@4,2",
      ])
  }

  @Test func `a partition that is the whole variable gets the whole tensor`() throws {
    let outcome = Outcome(["v": "q"], try Model.partitions("q", [2], 1), catalog)
    #expect(outcome.assignments == ["q/part_0=v"])
  }

  @Test func `partitions end at the first gap`() throws {
    var variables = try Model.partitions("q", [4], 4)
    variables.remove(at: 2)
    let outcome = Outcome(["t": "q"], variables, Model.catalog(["t"], [4]))
    #expect(outcome.assignments == ["q/part_0=t@0,1", "q/part_1=t@1,1"])
    let scoped = Outcome(["/": "/"], variables, Model.catalog(["q"], [4]))
    #expect(scoped.assignments == ["q/part_0=q@0,1", "q/part_1=q@1,1"])
  }

  @Test func `of two pairs for one variable the last key wins, of equal keys the last pair`() {
    let variables = Model.variables(["x", "y"])
    let pairs: [AssignmentMap.Pair] = [
      .init("v", "x"), .init("a", "x"), .init("a", "y"), .init("v", "y"),
    ]
    #expect(Outcome(AssignmentMap(pairs), variables, catalog).assignments == ["x=v", "y=v"])
    let equal: [AssignmentMap.Pair] = [.init("sc/", "n/"), .init("sc/", "/")]
    let outcome = Outcome(
      AssignmentMap(equal), Model.variables(["n/a"]), Model.catalog(["sc/a", "sc/n/a"]))
    #expect(outcome.assignments == ["n/a=sc/n/a"])
  }

  @Test func `unknown lengths and an unknown rank accept what is stored`() {
    let variables = [
      Variable("a", .float32, [Shape.unknownLength]), Variable("v", .float32, nil),
    ]
    #expect(Outcome(["a": "a", "v": "v"], variables, catalog).assignments == ["a=a", "v=v"])
    #expect(Outcome(["/": "/"], variables, catalog).assignments == ["a=a", "v=v"])
  }

  @Test func `an empty map assigns nothing`() {
    #expect(Outcome([:], Model.variables(["a"]), catalog) == Outcome(assignments: []))
  }

  @Test func `pairs that match no variable are reported as unused`() throws {
    let map: AssignmentMap = [
      "zz/": "none/", "v": "x", "a": .variables([]), "sc/": "n/", "x/": "//",
    ]
    let resolution = try Resolution.resolve(
      map, variables: Model.variables(["x", "n/a"]), in: catalog, .lenient)
    #expect(resolution.unused == [0, 2, 4])
    #expect(resolution.assignments.map(\.variable) == [0, 1])
  }

  @Test func `what the checkpoint lacks is skipped where it may be missing`() throws {
    let variables = try Model.variables(["n/a", "n/zz", "q", "q2"]) + Model.partitions("n/p")
    let map: AssignmentMap = [
      "sc/": "n/", "none": "q", "v": "q2", "z": "q2", "y": .variables([]),
    ]
    let resolution = try Resolution.resolve(
      map, variables: variables, in: catalog, [.skipMissing, .lenient])
    #expect(resolution.assignments.map(\.variable) == [0, 3])
    #expect(resolution.skipped.map(\.variable) == [1, 2, 4, 5])
    #expect(resolution.skipped.map(\.tensor) == ["sc/zz", "none", "sc/p", "sc/p"])
    #expect(resolution.unused == [4])
  }

  @Test func `names are bytes`() {
    let nfc = Name([0x6e, 0x2f, 0xc3, 0xa9])
    let nfd = Name([0x6e, 0x2f, 0x65, 0xcc, 0x81])
    let nul = Name([0x6e, 0x2f, 0x61, 0x00])
    let invalid = Name([0x6e, 0x2f, 0xff, 0xfe])
    let tensors = [nfc, nfd, nul, invalid, "n/a"].map { Name($0.bytes.dropFirst(2)) }
    let variables = Model.variables([nfd, invalid, nul, "n/a", nfc])
    let catalog = Model.catalog(tensors)
    let resolution = try? Resolution.resolve(["/": "n/"], variables: variables, in: catalog)
    #expect(
      resolution?.assignments.map { catalog.name($0.tensor).bytes }
        == variables.map { $0.name.bytes.dropFirst(2) })
    #expect(Outcome(["é": "n/é"], Model.variables([nfd]), catalog).reasons == [.scopeOnly])
  }

  @Test(
    arguments: [
      ([0xc3, 0xa9, 0x61], [0x61]), ([0xff, 0x61], [0x61]), ([0xc3], []), ([0xc3, 0x61], [0x61]),
      ([0x00, 0x61], [0x61]), ([0xf0, 0x9f, 0x98, 0x80, 0x61], [0x61]),
    ] as [([UInt8], [UInt8])])
  func `a scope without its slash costs names a character`(name: [UInt8], tensor: [UInt8]) {
    let catalog = Model.catalog([Name("sc/".utf8 + tensor), "sc"])
    let resolution = try? Resolution.resolve(
      ["sc/": "n"], variables: Model.variables([Name(name[...])]), in: catalog)
    let expected: Name = tensor.isEmpty ? "sc" : Name("sc/".utf8 + tensor)
    #expect(resolution.map { catalog.name($0.assignments[0].tensor) } == expected)
  }
}

extension Name {
  init(_ bytes: [UInt8]) {
    self.init(bytes[...])
  }
}
