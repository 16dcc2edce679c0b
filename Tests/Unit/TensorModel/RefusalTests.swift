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
    #expect(name?.first.message.contains("object names find variables") == true)
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
    #expect(typo?.first.message.contains("no variable or scope is named dense/kernle") == true)
    #expect(typo?.first.message.hasSuffix("nearest: dense/kernel") == true)
    let outside = problems(["v": "w"], variables, catalog)
    #expect(outside?.first.reason == .scopeOnly)
    #expect(outside?.first.message.contains("variable w is outside the variable store") == true)
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
