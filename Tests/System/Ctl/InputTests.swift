import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTensorModel

@testable import warmstartctl

/// A file that is there as long as the test.
func withFile<Result>(
  _ text: String, _ body: (String) throws -> Result
) throws -> Result {
  let path = FilePath("/tmp/warmstartctl-\(Process.id)-\(UInt64.random(in: 0...UInt64.max))")
  let file = try File(creatingNew: path, mode: 0o600)
  defer { File.remove(path) }
  try file.write(Array(text.utf8).rawSpan)
  return try body(path.string)
}

private let aTarget = "expected a name, a scope, {\"variable\": name} or {\"variables\": [name, …]}"

@Suite struct InputTests {
  @Test func `a map is a list of pairs in its order`() throws {
    let text = #"""
      [["b/", "c/"], ["t", {"variable": "v"}], ["t", {"variables": ["p/part_0", "p/part_1"]}]]
      """#
    let map = try withFile(text) { try MapFile.read($0) }
    #expect(
      map.pairs == [
        AssignmentMap.Pair("b/", .name("c/")), AssignmentMap.Pair("t", .variable("v")),
        AssignmentMap.Pair("t", .variables(["p/part_0", "p/part_1"])),
      ])
  }

  @Test func `a map is an object in its order`() throws {
    let map = try withFile(
      "{\"b\": \"x\", \"a\": {\"variables\": []}, \"\u{e9}\": \"y\", \"e\u{301}\": \"z\"}"
    ) {
      try MapFile.read($0)
    }
    #expect(
      map.pairs == [
        AssignmentMap.Pair("b", .name("x")), AssignmentMap.Pair("a", .variables([])),
        AssignmentMap.Pair("\u{e9}", .name("y")), AssignmentMap.Pair("e\u{301}", .name("z")),
      ])
  }

  @Test(
    arguments: [
      (#"3"#, "1:1: expected a list of pairs [key, target], or an object"),
      (#"[["a"]]"#, "1:2: [0]: expected a pair [key, target]"),
      (#"[["a","b"],[1,"b"]]"#, "1:13: [1][0]: expected a string"),
      (#"{"a":{"variable":1}}"#, "1:18: a.variable: expected a string"),
      (#"{"a":{"variables":["b",1]}}"#, "1:24: a.variables[1]: expected a string"),
      (
        #"{"a":{"scope":"b"}}"#, "1:7: a.scope: unknown field, expected variable, variables"
      ),
      (#"{"a":"b","a":"c"}"#, "1:10: a: the key occurs twice, which only a list of pairs allows"),
      (#"[["a",{"variable":"b","variable":"c"}]]"#, "1:7: [0][1]: " + aTarget),
      ("[\n", "2:1: expected a value, not the end of the file"),
      ("", "1:1: expected a value, not the end of the file"),
    ])
  func `problems of a map are reported with their places`(text: String, message: String) throws {
    try withFile(text) { path in
      let failure = #expect(throws: Failure.self) { try MapFile.read(path) }
      #expect(failure?.message == "\(path):\(message)")
      #expect(failure?.reason == .invalidRequest)
    }
  }

  @Test func `variables are declared whole, in partitions or as slices`() throws {
    let text = #"""
      {"variables": [
        {"name": "v", "dtype": "bfloat16", "shape": [null, -1, 3], "store": false},
        {"name": "u", "dtype": "string", "shape": null},
        {"name": "p", "dtype": "int4", "shape": [3, 2], "partitions": [2, 1]},
        {"name": "q/part_1", "dtype": "bool", "shape": [1],
         "slice": {"full_name": "q", "full_shape": [4], "offset": [3]}}
      ]}
      """#
    let variables = try withFile(text) { try VariablesFile.read($0) }
    #expect(
      variables == [
        Variable("v", dtype: .bfloat16, shape: [-1, -1, 3], isInStore: false),
        Variable("u", dtype: .string, shape: nil),
        Variable(
          "p/part_0", dtype: .int4, shape: [2, 2],
          partition: Partition(of: "p", fullShape: [3, 2], offset: [0, 0])
        ),
        Variable(
          "p/part_1", dtype: .int4, shape: [1, 2],
          partition: Partition(of: "p", fullShape: [3, 2], offset: [2, 0])
        ),
        Variable(
          "q/part_1", dtype: .bool, shape: [1],
          partition: Partition(of: "q", fullShape: [4], offset: [3])),
      ])
  }

  @Test(
    arguments: [
      (#"[]"#, "1:1: expected an object"),
      (#"{}"#, "1:1: lacks variables"),
      (#"{"variables":[],"version":1}"#, "1:17: version: unknown field, expected variables"),
      (#"{"variables":[3]}"#, "1:15: variables[0]: expected an object"),
      (#"{"variables":[{"dtype":"bool","shape":[]}]}"#, "1:15: variables[0]: lacks name"),
      (
        #"{"variables":[{"name":"a","dtype":"f32","shape":[]}]}"#,
        "1:35: variable a: dtype: unknown dtype \"f32\"; did you mean float32?"
      ),
      (
        #"{"variables":[{"name":"a","dtype":"bool","shape":[1.5]}]}"#,
        "1:51: variable a: shape[0]: expected a whole number"
      ),
      (
        #"{"variables":[{"name":"a","dtype":"bool","shape":[1],"store":1}]}"#,
        "1:62: variable a: store: expected true or false"
      ),
      (
        #"{"variables":[{"name":"","dtype":"bool","shape":[1]}]}"#,
        "1:15: variables[0]: expected a name, not an empty one"
      ),
      (#"{"variables":[],"variables":[]}"#, "1:17: variables: the field occurs twice"),
      (
        #"{"variables":[{"name":"a","name":"b","dtype":"bool","shape":[1]}]}"#,
        "1:27: variable a: name: the field occurs twice"
      ),
      (
        #"{"variables":[{"name":"a","dtype":"bool","shape":[1],"slice":{"full_name":"b"}}]}"#,
        "1:62: variable a: slice: lacks full_shape"
      ),
    ])
  func `problems of variables are reported with their places`(
    text: String, message: String
  ) throws {
    try withFile(text) { path in
      let failure = #expect(throws: Failure.self) { try VariablesFile.read(path) }
      #expect(failure?.message == "\(path):\(message)")
    }
  }

  @Test func `a missing file is an invalid request`() {
    let failure = #expect(throws: Failure.self) { try MapFile.read("/nonexistent") }
    #expect(failure?.reason == .invalidRequest)
  }
}
