import TensorModel
import Testing

/// What is refused, why, and in which words.
@Suite struct RefusalTests {
  let catalog = Model.catalog([
    ("m", .float32, [3, 2], []), ("v", .float32, [5], []), ("t", .float64, [5], []),
    ("n/dense/kernel", .float32, [5], []), ("zero", .float32, [4, 0], []),
  ])

  private func reasons(_ map: AssignmentMap, _ variables: [Variable]) -> [Reason]? {
    problems(map, variables, catalog)?.all.map(\.reason)
  }

  @Test(arguments: [
    "none", "v:0", "", "V", "v/", "n/dense",
  ])
  func `a key that is no tensor is refused`(key: String) {
    let variables = Model.variables(["v"], [5])
    for target in ["v", .variable("v"), .variables(["v"]), .variables([])]
      as [AssignmentMap.Target]
    {
      let found = problems(AssignmentMap([.init(Name(key), target)]), variables, catalog)
      #expect(found?.all.map(\.reason) == [.tensorNotFound])
      #expect(found?.first.tensor == Name(key))
    }
  }

  @Test(arguments: [[5, 1], [1, 5], [4], [], [6], [0], [Shape.unknownLength, 1]] as [Shape])
  func `a shape that differs is refused in every form`(shape: Shape) {
    let variables = Model.variables(["v"], shape)
    for map in [["v": "v"], ["v": .variable("v")], ["/": "/"]] as [AssignmentMap] {
      #expect(reasons(map, variables) == [.shapeMismatch])
    }
  }

  @Test func `a shape with an unknown length is shown as it is declared`() {
    let found = problems(["m": "v"], Model.variables(["v"], [-1, 3]), catalog)
    #expect(
      found?.first.message
        == "key m: shape [-1, 3] of variable v doesn't match shape [3, 2] of tensor m")
  }

  @Test func `one partition given alone is compared with the whole tensor`() throws {
    let variables = try Partitioner.counts([3, 1]).partitions(of: "q", .float32, [3, 2])
    #expect(reasons(["m": "q/part_0"], variables) == [.shapeMismatch])
    #expect(reasons(["m": .variable("q/part_0")], variables) == [.shapeMismatch])
  }

  @Test func `partitions of two variables are refused`() throws {
    let variables = try Model.partitions("p", [5]) + Model.partitions("q", [5])
    let found = problems(["v": .variables(["p/part_0", "q/part_0"])], variables, catalog)
    #expect(found?.first.reason == .slicesDiffer)
    #expect(
      found?.first.message.contains("slices must all be from the same tensor: p != q") == true)
  }

  @Test func `a variable that is no partition is refused in a list`() throws {
    let variables = try Model.partitions("p", [5]) + Model.variables(["w", "x/part_0"], [5])
    #expect(reasons(["v": .variables(["p/part_0", "w"])], variables) == [.slicesDiffer])
    #expect(reasons(["v": .variables(["w"])], variables) == [.slicesDiffer])
    #expect(reasons(["v": "x"], variables) == [.slicesDiffer])
  }

  @Test func `a dtype that differs is refused, never cast`() {
    let found = problems(["t": "w"], Model.variables(["w"], [5]), catalog)
    #expect(found?.first.reason == .dtypeMismatch)
    let words = "expected dtype float32 does not equal original dtype float64"
    #expect(found?.first.message.contains(words) == true)
    #expect(found?.first.variable == "w")
    #expect(found?.first.tensor == "t")
  }

  @Test func `a full shape that differs from the stored one is refused`() throws {
    #expect(
      reasons(["v": "q"], try Model.partitions("q", [6])) == [.shapeMismatch, .shapeMismatch])
    let flat = try Model.partitions("q", [5, 1], 1)
    #expect(reasons(["v": "q"], flat) == [.shapeMismatch])
  }

  @Test(
    arguments: [
      ([5], [1], [5]), ([4], [2], [5]), ([-1], [2], [5]), ([0], [0], [5]), ([5], [0], [5]),
      ([Int.max], [2], [5]), ([Int.max], [Int.max], [5]), ([Int.min], [1], [5]), ([0], [6], [5]),
      ([0], [Int.max], [Int.max]),
    ] as [([Int], Shape, Shape)])
  func `a slice that is empty or does not fit is refused`(
    offset: [Int], shape: Shape, fullShape: Shape
  ) {
    let partition = Partition(of: "q", fullShape: fullShape, offset: offset)
    let variable = Variable("q/part_0", .float32, shape, partition: partition)
    #expect(reasons(["v": "q"], [variable]) == [.shapeMismatch])
  }

  @Test func `partitions of a tensor without elements are refused as TensorFlow does`() throws {
    #expect(reasons(["zero": "q"], try Model.partitions("q", [4, 0], 1)) == [.shapeMismatch])
    let whole = Outcome(["zero": "q"], Model.variables(["q"], [4, 0]), catalog)
    #expect(whole.assignments == ["q=zero"])
  }

  @Test func `a call's problems come before those of its initializers, each in order`() {
    let variables = [
      Variable("b", .float32, [5]), Variable("d", .float64, [5]), Variable("c", .float32, [6]),
      Variable("e", .int8, [5]),
    ]
    let map: AssignmentMap = [
      "v": .variable("d"), "z": "b", "t": .variable("e"), "m": "c", "a": "c",
    ]
    let found = problems(map, variables, catalog)
    #expect(
      found?.all.map(\.reason) == [
        .tensorNotFound, .shapeMismatch, .tensorNotFound, .dtypeMismatch, .dtypeMismatch,
      ])
    #expect(found?.all.map(\.variable) == [nil, "c", nil, "d", "e"])
    #expect(found?.total == 5)
  }

  @Test func `problems beyond the maximum are counted, not listed`() {
    let variables = Model.variables((0..<1000).map { Name("x/v\($0)") }, [5])
    let found = problems(["/": "/"], variables, catalog)
    #expect(found?.total == 1000)
    #expect(found?.all.count == Problems.maximumCount)
  }

  @Test func `a tensor not found comes with the nearest names`() {
    let variables = Model.variables(["w"], [5])
    let typo = problems(["n/dense/kernl": "w"], variables, catalog)
    #expect(typo?.first.message.hasSuffix("; nearest: n/dense/kernel") == true)
    let scope = problems(["model/dense/kernel": "w"], variables, catalog)
    #expect(scope?.first.message.hasSuffix("; nearest: n/dense/kernel") == true)
  }

  @Test func `a name is told from a key of objects`() {
    var catalog = Catalog()
    catalog.append("_CHECKPOINTABLE_OBJECT_GRAPH", .string, [])
    catalog.append("net/w/.ATTRIBUTES/VARIABLE_VALUE", .float32, [5])
    catalog.index()
    let variables = Model.variables(["w"], [5])
    let path = problems(["net/w": "w"], variables, catalog)
    #expect(path?.first.message.hasSuffix("the key net/w/.ATTRIBUTES/VARIABLE_VALUE") == true)
    let name = problems(["dense/kernel": "w"], variables, catalog)
    #expect(name?.first.message.contains("object names find variables") == true)
  }

  @Test func `a scope as the target of a tensor is called a scope`() {
    let found = problems(["n": "dense/"], Model.variables(["dense/kernel"], [5]), catalog)
    #expect(found?.first.reason == .scopeOnly)
    #expect(found?.first.message.contains("the target dense/ is a scope; a scope key") == true)
  }

  @Test func `a misspelled variable is told from one outside the store`() {
    let variables =
      Model.variables(["dense/kernel"], [5])
      + [Variable("w", .float32, [5], isInStore: false)]
    let typo = problems(["v": "dense/kernle"], variables, catalog)
    #expect(typo?.first.reason == .scopeOnly)
    #expect(typo?.first.message.contains("no variable or scope is named dense/kernle") == true)
    #expect(typo?.first.message.hasSuffix("nearest: dense/kernel") == true)
    let outside = problems(["v": "w"], variables, catalog)
    #expect(outside?.first.reason == .scopeOnly)
    #expect(outside?.first.message.contains("variable w is outside the variable store") == true)
  }

  @Test func `a hostile name does not swell the answer`() {
    let long = Name([UInt8](repeating: 0x78, count: 1 << 20)[...])
    let variables = [Variable(long, .int8, Shape(Array(repeating: 7, count: 1 << 16)))]
    let found = problems(AssignmentMap([.init("v", .variable(long))]), variables, catalog)
    #expect(found?.first.reason == .shapeMismatch)
    #expect((found?.first.message.utf8.count ?? 0) < 4096)
  }
}
