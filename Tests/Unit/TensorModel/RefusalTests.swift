import Testing
import WarmstartTensorModel

/// What is refused, with which reason and message.
@Suite struct RefusalTests {
  let catalog = Model.catalog([
    ("m", .float32, [3, 2], []), ("v", .float32, [5], []), ("t", .float64, [5], []),
    ("n/dense/kernel", .float32, [5], []),
  ])

  @Test func `a shape with an unknown length is shown as it is declared`() {
    let found = problems(["m": "v"], Model.variables(["v"], [-1, 3]), catalog)
    #expect(
      found?.first.message
        == "key m: shape [-1, 3] of variable v doesn't match shape [3, 2] of tensor m")
  }

  @Test func `partitions of two variables are refused`() throws {
    let variables = try Model.partitions("p", [5]) + Model.partitions("q", [5])
    let found = problems(["v": .variables(["p/part_0", "q/part_0"])], variables, catalog)
    #expect(found?.first.reason == .slicesDiffer)
    #expect(
      found?.first.message.contains("slices must all be from the same tensor: p != q") == true)
  }

  @Test func `a dtype that differs is refused, never cast`() {
    let found = problems(["t": "w"], Model.variables(["w"], [5]), catalog)
    #expect(found?.first.reason == .dtypeMismatch)
    let words = "expected dtype float32 does not equal original dtype float64"
    #expect(found?.first.message.contains(words) == true)
    #expect(found?.first.variable == "w")
    #expect(found?.first.tensor == "t")
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

  @Test func `the error tells a name from an object's key`() {
    var catalog = Catalog()
    catalog.append("_CHECKPOINTABLE_OBJECT_GRAPH", .string, [])
    catalog.append("net/w/.ATTRIBUTES/VARIABLE_VALUE", .float32, [5])
    catalog.index()
    let variables = Model.variables(["w"], [5])
    let path = problems(["net/w": "w"], variables, catalog)
    #expect(path?.first.message.hasSuffix("the key net/w/.ATTRIBUTES/VARIABLE_VALUE") == true)
    let name = problems(["dense/kernel": "w"], variables, catalog)
    #expect(name?.first.message.contains("with the option 'object names'") == true)
  }

  @Test func `a scope as the target of a tensor is called a scope`() {
    let found = problems(["n": "dense/"], Model.variables(["dense/kernel"], [5]), catalog)
    #expect(found?.first.reason == .scopeOnly)
    #expect(found?.first.message.contains("the target dense/ is a scope; a scope key") == true)
  }

  @Test func `the error tells a misspelled variable from one outside the store`() {
    let variables =
      Model.variables(["dense/kernel"], [5])
      + [Variable("w", dtype: .float32, shape: [5], isInStore: false)]
    let typo = problems(["v": "dense/kernle"], variables, catalog)
    #expect(typo?.first.reason == .scopeOnly)
    #expect(
      typo?.first.message
        == "key v: no variable is named dense/kernle (a variable outside the variable store must be "
        + "passed as an object); nearest: dense/kernel")
    let outside = problems(["v": "w"], variables, catalog)
    #expect(outside?.first.reason == .scopeOnly)
    #expect(outside?.first.message.contains("variable w is outside the variable store") == true)
  }

  @Test func `a target that is missing is told apart by what the map and the variables have`() {
    let variables = Model.variables(["dense/kernel"], [5])
    let typo = problems(["v": "dense/kernle"], variables, catalog)
    #expect(
      typo?.first.message == "key v: no variable is named dense/kernle; nearest: dense/kernel")
    let scope = problems(["n": "student"], variables, catalog)
    #expect(
      scope?.first.message
        == "key n: no variable or scope is named student; a scope key must end in '/'")
  }

  @Test func `a tensor that differs in dtype and shape is refused for both`() throws {
    let reasons: Set<Reason> = [.dtypeMismatch, .shapeMismatch]
    let parts = try Model.partitions("w", [4])
    let maps: [(AssignmentMap, [Variable])] = [
      (["t": "w"], Model.variables(["w"], [3])), (["/": "/"], Model.variables(["t"], [3])),
      (["t": "w"], parts),
    ]
    for (map, variables) in maps {
      let found = problems(map, variables, catalog)
      #expect(found.map { Set($0.all.map(\.reason)) } == reasons)
      #expect(found?.total == 2 * variables.count)
      let cast = problems(map, variables, catalog, [.cast])
      #expect(cast?.all.map(\.reason) == variables.map { _ in .shapeMismatch })
      let skipped = problems(map, variables, catalog, [.skipMismatched])
      #expect(skipped?.all.map(\.reason) == variables.map { _ in .dtypeMismatch })
    }
  }

  @Test func `a shape that fits when it is transposed is reported with the axes`() throws {
    let hint = "; with the option 'transpose' and axes (1, 0) it fits"
    let conv = Model.catalog([
      ("c", .float32, [8, 4, 3, 2], []), ("s", .float32, [8, 3, 3], []),
      ("z", .float32, [], []),
    ])
    let cases: [(AssignmentMap, [Variable], Catalog, String?)] = [
      (["m": "v"], Model.variables(["v"], [2, 3]), catalog, hint),
      (["/": "/"], Model.variables(["m"], [2, 3]), catalog, hint),
      (["m": "p"], try Model.partitions("p", [2, 3]), catalog, hint),
      (
        ["c": "v"], Model.variables(["v"], [3, 2, 4, 8]), conv,
        "with the option 'transpose' and axes (2, 3, 1, 0) it fits"
      ),
      // Two orders fit, and only one can be right.
      (["s": "v"], Model.variables(["v"], [3, 3, 8]), conv, nil),
      (["m": "v"], Model.variables(["v"], [-1, 3]), catalog, nil),
      (["m": "v"], Model.variables(["v"], [2, 4]), catalog, nil),
      (["m": "v"], Model.variables(["v"], [6]), catalog, nil),
      (["v": "w"], Model.variables(["w"], []), catalog, nil),
      (["z": "w"], Model.variables(["w"], [5]), conv, nil),
    ]
    for (map, variables, catalog, hint) in cases {
      let message = problems(map, variables, catalog)?.first.message
      #expect(message?.contains("it fits") == (hint != nil))
      if let hint { #expect(message?.hasSuffix(hint) == true) }
    }
  }

  @Test func `a part to which the whole tensor is assigned gets a hint at its variable`() throws {
    let found = problems(["m": "p/part_0"], try Model.partitions("p", [3, 2]), catalog)
    #expect(
      found?.first.message.hasSuffix(
        "; it is a part of p: assign that, and each part is its slice of the tensor") == true,
      "\(String(describing: found?.first.message))")
  }

  @Test func `an option is named once, in words that each client spells in its own way`() {
    let variables = Model.variables(["t", "v", "m"], [7])
    var catalog = Model.catalog([
      ("m", .float32, [3, 2], []), ("t", .float64, [7], []), ("u", .float64, [7], []),
      ("v", .float32, [5], []),
    ])
    catalog.index()
    let found = problems(["/": "/"], variables + Model.variables(["u"], [7]), catalog, .skipMissing)
    let cast = "; numbers are cast to their variable's dtype with the option 'cast'"
    let skip = "; tensors of another shape are skipped with the option 'skip mismatched'"
    #expect(
      found?.all.map { [cast, skip].filter($0.message.hasSuffix) } == [[cast], [skip], [], []])
  }

  @Test func `a variable unlike any tensor gets a hint at skipping it, once`() {
    let variables = Model.variables(["w/kernel", "w/kernl", "head/kernel", "head/okapi"])
    let found = problems(["/": "/"], variables, Model.catalog(["u/kernel", "w/kernel"]))
    let skip = "; a new variable is skipped with the option 'skip missing'"
    #expect(found?.all.map { $0.message.hasSuffix(skip) } == [true, false, false])
  }

  @Test func `a hostile name does not swell the answer`() {
    let long = Name([UInt8](repeating: 0x78, count: 1 << 20)[...])
    let variables = [
      Variable(long, dtype: .int8, shape: Shape(Array(repeating: 7, count: 1 << 16)))
    ]
    let found = problems(AssignmentMap([.init("v", .variable(long))]), variables, catalog)
    #expect(found?.first.reason == .shapeMismatch)
    #expect((found?.first.message.utf8.count ?? 0) < 4096)
  }
}
