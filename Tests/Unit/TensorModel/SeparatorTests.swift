import Testing

@testable import WarmstartTensorModel

/// Scopes of checkpoints whose names have dots.
struct SeparatorTests {
  private let variables = [
    Variable("student.layers.0.w", dtype: .float32, shape: [2]),
    Variable("student.layers.0.b", dtype: .float32, shape: [2]),
    Variable("student.layers.10.w", dtype: .float32, shape: [2]),
    Variable("head.w", dtype: .float32, shape: [2]),
  ]

  private func catalog(_ names: [String], separator: Character = ".") -> Catalog {
    var catalog = Catalog(separator: separator.asciiValue ?? 0)
    for name in names.sorted() { catalog.append(Name(name), .float32, [2]) }
    catalog.index()
    return catalog
  }

  private let dotted = [
    "model.layers.0.b", "model.layers.0.w", "model.layers.10.w", "model.norm.w",
  ]

  private func assigned(
    _ map: AssignmentMap, _ variables: [Variable]? = nil, in names: [String]? = nil,
    _ options: Resolution.Options = [], separator: UInt8? = nil
  ) throws -> [String: String] {
    let (variables, catalog) = (variables ?? self.variables, catalog(names ?? dotted))
    let resolution = try Resolution.resolve(
      map, variables: variables, in: catalog, options, separator: separator)
    return Dictionary(
      uniqueKeysWithValues: resolution.assignments.map {
        ("\(variables[$0.variable].name)", "\(catalog.name($0.tensor))")
      })
  }

  @Test func `a dot ends a scope of a checkpoint whose names have dots`() throws {
    #expect(
      try assigned(["model.layers.0.": "student.layers.0."]) == [
        "student.layers.0.b": "model.layers.0.b", "student.layers.0.w": "model.layers.0.w",
      ])
  }

  @Test(arguments: [
    ("model.layers.0.", "student.layers.0", "student.layers.0."),
    ("model.layers.0", "student.layers.0", "student.layers.0."),
    ("model.layers.0", "m", "m/"), ("model.layers.0.", "m", "m/"),
  ])
  func `a scope of variables without its end gets a hint`(
    key: String, target: String, scope: String
  ) throws {
    let variables = self.variables + [Variable("m/w", dtype: .float32, shape: [2])]
    let map = AssignmentMap([.init(Name(key), .name(Name(target)))])
    let problems = #expect(throws: Problems.self) {
      try Resolution.resolve(map, variables: variables, in: catalog(dotted))
    }
    let message = try #require(problems?.first.message)
    #expect(message.contains("write \(scope)"), "\(message)")
  }

  @Test(arguments: [
    ("model/layers/0/w", "; there is model.layers.0.w, with '.' in place of '/'"),
    ("model/layers.0/w", "; there is model.layers.0.w, with '.' in place of '/'"),
    ("layers.0.w", "; there is model.layers.0.w, with model. in front"),
    ("modl.layers.0.w", "; nearest: model.layers.0.w, model.layers.0.b, model.layers.10.w"),
    ("decoder.block.7.w", "; nearest: model.layers.10.w, model.layers.0.w, model.norm.w"),
  ])
  func `a misspelled tensor gets a hint`(key: String, hint: String) throws {
    let map = AssignmentMap([.init(Name(key), .name("head.w"))])
    let message = problems(map, variables, catalog(dotted), [])?.first.message ?? ""
    #expect(message.hasSuffix("is not found in the checkpoint" + hint), "\(message)")
  }

  @Test func `names with slashes in a scope whose tensors have dots are one problem`() throws {
    let variables = ["w", "b"].map { Variable("s/0/\($0)", dtype: .float32, shape: [2]) }
    let found = problems(["model.layers.": "s/"], variables, catalog(dotted), [])
    #expect(found?.all.count == 1 && found?.total == 2)
    #expect(
      found?.first.message.hasSuffix("with '.' in place of '/'; the same holds for another name")
        == true,
      "\(found?.first.message ?? "")")
  }

  @Test func `a scope has no variables whose names only begin alike`() throws {
    #expect(
      try assigned(["model.layers.10.": "student.layers.10."]) == [
        "student.layers.10.w": "model.layers.10.w"
      ])
  }

  @Test(arguments: ["/", "."])
  func `the root is a dot or a slash`(root: String) throws {
    let variables = [Variable("norm.w", dtype: .float32, shape: [2])]
    #expect(
      try assigned(["model.": .name(Name(root))], variables) == ["norm.w": "model.norm.w"])
    let whole = [Variable("model.norm.w", dtype: .float32, shape: [2])]
    #expect(
      try assigned(AssignmentMap([.init(Name(root), .name(Name(root)))]), whole)
        == ["model.norm.w": "model.norm.w"])
  }

  @Test func `a slash still ends a scope, as in TensorFlow`() throws {
    let variables = [Variable("student/w", dtype: .float32, shape: [2])]
    #expect(
      try assigned(["bert/": "student/"], variables, in: ["bert/w"]) == ["student/w": "bert/w"])
    #expect(
      try assigned(["model.norm.": "student/"], variables) == ["student/w": "model.norm.w"])
  }

  @Test func `a dot ends no scope of other checkpoints`() throws {
    let variables = [Variable("s.w", dtype: .float32, shape: [2])]
    #expect(throws: Problems.self) {
      try Resolution.resolve(
        ["m.": "s."], variables: variables, in: catalog(["m.w"], separator: "/"))
    }
  }

  @Test func `the caller may choose another separator`() throws {
    let variables = [Variable("s:w", dtype: .float32, shape: [2])]
    #expect(
      try assigned(["m:": "s:"], variables, in: ["m:w"], separator: UInt8(ascii: ":"))
        == ["s:w": "m:w"])
  }

  @Test func `partitions are cut out of tensors with dots in their names`() throws {
    let whole = Shape([4])
    let parts = (0..<2).map { part in
      Variable(
        "student.w/part_\(part)", dtype: .float32, shape: [2],
        partition: Partition(of: "student.w", fullShape: whole, offset: [2 * part]))
    }
    var catalog = Catalog(separator: UInt8(ascii: "."))
    catalog.append("model.w", .float32, whole)
    catalog.index()
    let resolution = try Resolution.resolve(
      ["model.": "student."], variables: parts, in: catalog)
    #expect(resolution.assignments.map { $0.slice?.starts } == [[0], [2]])
  }

  @Test func `a key without its dot is told what ends a scope`() throws {
    let problems = try #require(throws: Problems.self) {
      try assigned(["model.layers.0": "student.layers.0."])
    }
    let message = problems.all[0].message
    #expect(problems.all[0].reason == .scopeOnly)
    #expect(message.contains("a scope key must end in '.' or '/'"), "\(message)")
    #expect(message.contains("write model.layers.0."), "\(message)")
  }

  @Test func `a scope that the checkpoint lacks is told the nearest`() throws {
    let problems = try #require(throws: Problems.self) {
      try assigned(["modle.layers.0.": "student.layers.0."])
    }
    #expect(problems.all[0].message.contains("model."), "\(problems.all[0].message)")
  }
}
