import Testing
import WarmstartTensorModel

/// The paths of a checkpoint's objects, and the names of their variables.
@Suite struct ObjectGraphTests {
  private static let value: Name = "VARIABLE_VALUE"

  /// A graph of this many objects; rows must be in order.
  private static func graph(
    _ count: Int, children: [(UInt32, Name, UInt32)] = [],
    slots: [(UInt32, Name, UInt32, UInt32)] = [],
    variables: [(object: UInt32, fullName: Name, key: Name)] = []
  ) -> ObjectGraph {
    var graph = ObjectGraph()
    graph.count = count
    for (object, name, child) in children {
      graph.children.objects.append(object)
      graph.children.names.append(name)
      graph.children.children.append(child)
    }
    for (object, name, variable, slot) in slots {
      graph.slotVariables.objects.append(object)
      graph.slotVariables.names.append(name)
      graph.slotVariables.variables.append(variable)
      graph.slotVariables.slots.append(slot)
    }
    for variable in variables {
      graph.attributes.objects.append(variable.object)
      graph.attributes.names.append(Self.value)
      graph.attributes.fullNames.append(variable.fullName)
      graph.attributes.keys.append(variable.key)
    }
    return graph
  }

  private static func paths(_ graph: ObjectGraph) -> [Name?] {
    let paths = ObjectPaths(graph)
    return (0..<graph.count).map { paths.path(to: $0) }
  }

  // MARK: Paths

  @Test func `an object's path is the shortest, and of equals the first`() {
    let graph = Self.graph(
      5,
      children: [
        (0, "long", 1), (0, "b", 2), (0, "a", 2), (1, "way", 3), (2, "x", 4), (3, "round", 4),
      ])
    #expect(Self.paths(graph) == ["", "long", "b", "long/way", "b/x"])
    let paths = ObjectPaths(graph)
    #expect((0..<6).filter(paths.isArrival) == [0, 1, 3, 4])
  }

  @Test func `dots and slashes in names are escaped as in keys`() {
    let graph = Self.graph(3, children: [(0, "x/y", 1), (1, ".a.b", 2)])
    #expect(Self.paths(graph) == ["", "x.Sy", "x.Sy/..a..b"])
  }

  @Test func `circles and loops end`() {
    let graph = Self.graph(
      3, children: [(0, "self", 0), (0, "a", 1), (1, "b", 2), (1, "root", 0), (2, "a", 1)])
    #expect(Self.paths(graph) == ["", "a", "a/b"])
  }

  @Test
  func `an unreachable object has no path, and a slot variable has its variable's and optimizer's`()
  {
    let graph = Self.graph(
      6, children: [(0, "v", 1), (0, "opt.1", 2)],
      slots: [(2, "m/n", 1, 3), (4, "momentum", 1, 5)])
    #expect(Self.paths(graph) == ["", "v", "opt..1", "v/.OPTIMIZER_SLOT/opt..1/m.Sn", nil, nil])
  }

  @Test func `the slots of slots have no endless paths`() {
    let graph = Self.graph(4, slots: [(1, "a", 2, 3), (2, "b", 3, 1), (3, "c", 1, 2)])
    #expect(Self.paths(graph) == ["", nil, nil, nil])
  }

  @Test func `a long chain has paths of bounded length`() throws {
    let count: UInt32 = 20_000
    let graph = Self.graph(
      Int(count), children: (0..<count - 1).map { ($0, "next", $0 + 1) })
    let paths = ObjectPaths(graph)
    #expect(paths.path(to: 2) == "next/next")
    let last = try #require(paths.path(to: Int(count) - 1))
    #expect(last.bytes.count <= ObjectPaths.maximumByteCount + 3)
    #expect(last.description.hasPrefix("…/next/next"))
  }

  @Test func `an empty graph has no paths and no fault`() {
    #expect(Self.paths(ObjectGraph()) == [])
    #expect(ObjectGraph().fault == nil)
  }

  // MARK: Faults

  @Test(arguments: [
    graph(2, children: [(0, "a", 2)]), graph(2, children: [(0, "a", .max)]),
    graph(2, children: [(2, "a", 1)]), graph(2, children: [(1, "a", 0), (0, "b", 1)]),
    graph(2, slots: [(0, "m", 2, 1)]), graph(2, slots: [(0, "m", 1, 2)]),
    graph(2, slots: [(3, "m", 1, 1)]), graph(0, variables: [(0, "v", "k")]),
    graph(2, variables: [(1, "v", "k"), (0, "w", "l")]),
  ])
  func `rows about objects that do not exist, or out of order, are a fault`(_ graph: ObjectGraph) {
    #expect(graph.fault != nil)
  }

  // MARK: Full names

  private static let catalog = Model.catalog(["k/a", "k/b", "k/c", "k/p0", "k/p1", "other"])
  private static let named = graph(
    9,
    variables: [
      (1, "net/a", "k/a"), (2, "net/b", "k/b"), (3, "p", "k/p1"), (4, "p", "k/p0"),
      (5, "", "other"), (6, "net/c", "k/c"), (7, "net/c", "k/c"), (8, "gone", "k/gone"),
    ])
  private static let names = FullNames(named, in: catalog)

  private func resolve(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolution.Options = []
  ) throws(Problems) -> Resolution {
    var names = Self.names
    names.settle(equal: [], different: ["p"])
    return try Resolution.resolve(
      map, variables: VariableList(variables), in: names, options
    ).resolution
  }

  private func tensors(
    _ map: AssignmentMap, _ variables: [Variable]
  ) throws(Problems) -> [Name] {
    try resolve(map, variables).assignments.map { Self.catalog.name($0.tensor) }
  }

  private func problems(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolution.Options = []
  ) -> [Problem] {
    do throws(Problems) {
      _ = try resolve(map, variables, options)
      return []
    } catch {
      return error.all
    }
  }

  @Test func `all five forms of a map take full names`() throws {
    let parts = try Model.partitions("q")
    #expect(try tensors(["net/a": "w"], Model.variables(["w"])) == ["k/a"])
    let outside = [Variable("w", dtype: .float32, shape: [2], isInStore: false)]
    #expect(try tensors(["net/b": .variable("w")], outside) == ["k/b"])
    #expect(
      try tensors(["net/a": .variables(["q/part_0", "q/part_1"])], parts) == ["k/a", "k/a"])
    #expect(try tensors(["net/a": "q"], parts) == ["k/a", "k/a"])
    #expect(
      try tensors(["net/": "m/"], Model.variables(["m/a", "m/b", "m/c"])) == ["k/a", "k/b", "k/c"])
    #expect(try tensors(["/": "m/"], Model.variables(["m/net/b"])) == ["k/b"])
    #expect(try tensors(["net/": "/"], Model.variables(["c"])) == ["k/c"])
  }

  @Test func `keys are not names, and only variables have names`() {
    for key in ["k/a", "other", ""] as [Name] {
      let found = problems(AssignmentMap([.init(key, "w")]), Model.variables(["w"]))
      #expect(found.map(\.reason) == [.tensorNotFound])
    }
  }

  @Test func `a name of several tensors is refused where it is used, with the keys in order`() {
    let found = problems(["p": "w", "net/a": "v"], Model.variables(["w", "v"]))
    #expect(found.map(\.reason) == [.ambiguousName])
    #expect(found.first?.reason.code == .invalidArgument)
    #expect(
      found.first?.message.hasSuffix("name p stands for 2 tensors that differ: k/p0, k/p1") == true)
    #expect(found.first?.tensor == "p")
    // This also holds if tensors may be missing, and in a scope.
    let scope = problems(["/": "/"], Model.variables(["p", "net/a"]), .skipMissing)
    #expect(scope.map(\.reason) == [.ambiguousName])
    #expect(scope.first?.variable == "p")
  }

  @Test func `a name of possibly equal tensors is compared, and then stands for one`()
    throws
  {
    let variables = VariableList(Model.variables(["w", "v"]))
    let map: AssignmentMap = ["p": "w", "net/a": "v"]
    let first = try Resolution.resolve(map, variables: variables, in: Self.names)
    #expect(first.uncompared == ["p"])
    #expect(
      Self.names.uncomparedTensors(of: "p").map { Self.catalog.name($0) } == ["k/p0", "k/p1"])
    #expect(Self.names.uncomparedTensors(of: "net/a").isEmpty)
    var names = Self.names
    names.settle(equal: ["p"], different: [])
    let (resolution, uncompared) = try Resolution.resolve(map, variables: variables, in: names)
    #expect(uncompared.isEmpty)
    #expect(resolution.assignments.map { Self.catalog.name($0.tensor) } == ["k/p0", "k/a"])
  }

  @Test func `settling one name leaves the others unsettled`() throws {
    let graph = Self.graph(
      7,
      variables: [
        (1, "a", "k/a"), (2, "a", "k/b"), (3, "b", "k/c"), (4, "c", "k/p0"), (5, "c", "k/p1"),
      ])
    var names = FullNames(graph, in: Self.catalog)
    names.settle(equal: [], different: ["a", "nowhere"])
    #expect(names.uncomparedTensors(of: "a").isEmpty)
    #expect(names.uncomparedTensors(of: "c").map { Self.catalog.name($0) } == ["k/p0", "k/p1"])
    let (resolution, uncompared) = try Resolution.resolve(
      ["b": "v", "c": "w"], variables: VariableList(Model.variables(["v", "w"])), in: names)
    #expect(resolution.assignments.map { Self.catalog.name($0.tensor) } == ["k/c", "k/p0"])
    #expect(uncompared == ["c"])
  }

  @Test func `a name of many tensors is refused with the first of them`() {
    let graph = Self.graph(
      100, variables: (0..<100).map { (UInt32($0), "Variable", Name("v/\(100 + $0)")) })
    let names = FullNames(graph, in: Model.catalog(["v/100"]))
    let error = #expect(throws: Problems.self) {
      try Resolution.resolve(
        ["Variable": "w"], variables: VariableList(Model.variables(["w"])), in: names)
    }
    #expect(error?.first.reason == .ambiguousName)
    #expect(error?.first.message.hasSuffix("v/106, v/107 and 92 more") == true)
  }

  @Test func `one tensor of two attributes is not ambiguous`() throws {
    #expect(try tensors(["net/c": "w"], Model.variables(["w"])) == ["k/c"])
  }

  @Test func `a name whose tensor the index lacks is reported or skipped`() throws {
    let found = problems(["gone": "w"], Model.variables(["w"]))
    #expect(found.map(\.reason) == [.tensorNotFound])
    #expect(found.first?.message.hasSuffix("it stands for k/gone, which the index lacks") == true)
    let skipped = try resolve(["gone": "w"], Model.variables(["w"]), [.skipMissing, .lenient])
      .skipped
    #expect(skipped == [Resolution.Skipped(variable: 0, tensor: "gone")])
  }

  @Test func `an unknown name is refused with the nearest full names`() {
    let found = problems(["net/aa": "w"], Model.variables(["w"]))
    #expect(found.map(\.reason) == [.tensorNotFound])
    #expect(found.first?.message.contains("nearest: net/a") == true)
  }

  @Test func `dtypes and shapes are those of the tensors`() {
    let shape = problems(["net/a": "w"], Model.variables(["w"], [3]))
    #expect(shape.map(\.reason) == [.shapeMismatch])
    let dtype = problems(["net/a": "w"], [Variable("w", dtype: .int32, shape: [2])])
    #expect(dtype.map(\.reason) == [.dtypeMismatch])
  }

  @Test func `each use of a name that a hundred thousand variables have is refused`() {
    let count = 100_000
    let graph = Self.graph(
      count, variables: (0..<count).map { (UInt32($0), "Variable", Name("v/\($0)")) })
    let names = FullNames(graph, in: Model.catalog([]))
    let map = AssignmentMap((0..<count).map { .init("Variable", .name(Name("w\($0)"))) })
    let variables = (0..<count).map { Variable(Name("w\($0)"), dtype: .float32, shape: [1]) }
    let error = #expect(throws: Problems.self) {
      try Resolution.resolve(map, variables: VariableList(variables), in: names)
    }
    #expect(error?.total == count)
  }
}
