import Testing
import WarmstartTensorModel

@testable import warmstartctl

/// All that is wrong with a file that a person wrote, at once.
@Suite struct FaultTests {
  /// The problems with a file, without its path, and how many there are in all.
  private func problems(
    _ text: String, _ read: (String) throws -> Void
  ) throws -> (messages: [String], count: Int) {
    try withFile(text) { path in
      let failure = try #require(throws: Failure.self) { try read(path) }
      #expect(failure.problems.allSatisfy { $0.reason == .invalidRequest })
      return (
        failure.problems.map { String($0.message.dropFirst(path.count + 1)) }, failure.problemCount
      )
    }
  }

  private func problems(inVariables text: String) throws -> [String] {
    try problems(text) { _ = try VariablesFile.read($0) }.messages
  }

  @Test func `all problems of variables are reported in order, by the variables' names`() throws {
    let text = #"""
      {"variables": [
        {"shape": [2], "name": "öl/w", "dtype": "flaot32", "partitons": [2]},
        {"name": "b", "shape": ["x", -2, 1.5]},
        {"name": "c", "dtype": "int4", "shape": [1], "store": 1, "slice": {"offset": 3}},
        7,
        {"name": "", "dtype": "bool", "shape": []},
        {"name": "d", "dtype": 1, "shape": 2, "partitions": [1], "slice": null}
      ], "version": 2}
      """#
    let messages = try problems(inVariables: text)
    #expect(
      messages == [
        #"2:43: variable öl/w: dtype: unknown dtype "flaot32"; did you mean float32?"#,
        "2:54: variable öl/w: partitons: unknown field; did you mean partitions?",
        "3:3: variable b: lacks dtype",
        "3:27: variable b: shape[0]: expected a whole number",
        "3:32: variable b: shape[1]: expected a length, or -1 or null for an unknown one, not -2",
        "3:36: variable b: shape[2]: expected a whole number",
        "4:57: variable c: store: expected true or false",
        "4:69: variable c: slice: lacks full_name",
        "4:69: variable c: slice: lacks full_shape",
        "4:80: variable c: slice.offset: expected a list",
        "5:3: variables[3]: expected an object",
        "6:3: variables[4]: expected a name, not an empty one",
        "7:3: variable d: expected partitions or slice, not both",
        "7:26: variable d: dtype: expected a string",
        "7:38: variable d: shape: expected a list",
        "7:69: variable d: slice: expected an object",
        "8:4: version: unknown field, expected variables",
      ])
  }

  @Test func `all problems of a map are reported in order`() throws {
    let text = #"""
      [["a", {"variabel": "w"}],
       ["b"],
       [3, {"variables": ["x", null]}],
       ["c", {}]]
      """#
    let messages = try problems(text) { _ = try MapFile.read($0) }.messages
    #expect(
      messages == [
        "1:9: [0][1].variabel: unknown field; did you mean variable?",
        "2:2: [1]: expected a pair [key, target]",
        "3:3: [2][0]: expected a string",
        "3:26: [2][1].variables[1]: expected a string",
        "4:8: [3][1]: expected a name, a scope, {\"variable\": name} or {\"variables\": [name, …]}",
      ])
  }

  @Test func `a variable declared twice is reported with its first place`() throws {
    let text = #"""
      {"variables": [
        {"name": "w", "dtype": "bool", "shape": []},
        {"name": "p/part_1", "dtype": "bool", "shape": [1]},
        {"name": "w", "dtype": "float32_ref", "shape": []},
        {"name": "p", "dtype": "bool", "shape": [2], "partitions": [2]},
        {"name": "u", "dtype": "bool", "shape": []}
      ]}
      """#
    let messages = try problems(inVariables: text)
    #expect(messages.count == 3)
    #expect(messages[0] == "4:3: variable w: declared twice, first at 2:3")
    #expect(messages[1].hasPrefix("4:26: variable w: dtype: "))
    #expect(
      messages[2] == "5:3: variable p: partition p/part_1 is declared twice, first at 3:3")
  }

  @Test(arguments: [
    ("flaot32", "float32"), ("Float32", "float32"), ("float_32", "float32"),
    ("tf.float32", "float32"),
    ("tf.dtypes.bfloat16", "bfloat16"), ("np.int64", "int64"), ("<dtype: 'int32'>", "int32"),
    ("<class 'numpy.uint8'>", "uint8"), ("torch.float16", "float16"), ("DT_FLOAT", "float32"),
    ("DT_INT8", "int8"), ("FP32", "float32"), ("f32", "float32"), ("float", "float32"),
    ("double", "float64"), ("bf16", "bfloat16"), ("half", "float16"), ("str", "string"),
    ("float8_e4m3", "float8_e4m3fn"), ("boolean", "bool"),
  ])
  func `another program's name of a dtype gets the right suggestion`(text: String, name: String) {
    #expect(DTypeName(text).fault == "unknown dtype \"\(text)\"; did you mean \(name)?")
  }

  @Test(arguments: ["float32_ref", "<dtype: 'float32_ref'>", "DT_FLOAT_REF", "tf.float32_ref"])
  func `a reference dtype is reported as one`(text: String) {
    #expect(
      DTypeName(text).fault
        == "\"\(text)\" is TensorFlow 1's reference form of float32: write float32")
  }

  @Test(arguments: ["", "'", "categorical", "_ref", "dt_"])
  func `a name that resembles no dtype gets no suggestion`(text: String) {
    #expect(
      DTypeName(text).fault
        == "unknown dtype \"\(text)\", expected one of TensorFlow's names, such as float32")
  }

  @Test func `of very many problems the first are reported, and the number of all`() throws {
    let text =
      "{\"variables\": [" + Array(repeating: "7", count: 5000).joined(separator: ",") + "]}"
    let (messages, count) = try problems(text) { _ = try VariablesFile.read($0) }
    #expect(messages.count == 100)
    #expect(messages[99].hasSuffix("variables[99]: expected an object"))
    #expect(count == 5000)
  }

  @Test(arguments: [
    ("{'variables': []}", "1:2: expected a key in double quotes, not '''"),
    ("{\"variables\": 'x'}", "1:15: expected a value; strings have double quotes"),
    ("[True]", "1:2: expected a value, not True; did you mean true?"),
    ("[1, None]", "1:5: expected a value, not None; did you mean null?"),
  ])
  func `Python's spelling is reported with JSON's`(text: String, message: String) throws {
    #expect(try problems(inVariables: text) == [message])
  }
}
