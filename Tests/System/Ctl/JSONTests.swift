import Testing
import WarmstartTensorModel

@testable import warmstartctl

extension JSON {
  /// What was read, to be written again.
  fileprivate init(_ value: JSONValue) {
    switch value.content {
    case .literal(let literal): self = .literal(literal)
    case .text(let text): self = .text(text)
    case .list(let values): self = .list(values.map { JSON($0) })
    case .object(let fields): self = .object(fields.map { ($0.key, JSON($0.value)) })
    }
  }
}

private func read(_ text: String) throws -> JSON {
  JSON(try JSONReader.read(Array(text.utf8)))
}

@Suite struct JSONTests {
  @Test func `values are written as they were read, on one line`() throws {
    let text = #"{"b":[1,-2.5e3,"x"],"a":{},"":[],"t":true,"n":null,"b":"twice"}"#
    #expect(try read(text).line == text + "\n")
  }

  @Test func `blanks mean nothing`() throws {
    let value = try read(" {\n\t\"a\" :\r[ 1 , 2 ] } \n")
    #expect(value.line == #"{"a":[1,2]}"# + "\n")
  }

  @Test func `escapes are read as characters, and escaped again where JSON requires it`() throws {
    let value = try read(#""\u00e9\ud83d\ude00\/\"\\\b\f\n\r\t\u001b""#)
    guard case .text(let text) = value else {
      Issue.record("not a string")
      return
    }
    #expect(text == "é😀/\"\\\u{8}\u{c}\n\r\t\u{1b}")
    #expect(value.line == #""é😀/\"\\\u0008\u000c\n\u000d\t\u001b""# + "\n")
  }

  @Test(arguments: [
    ("\u{7f}", #"\u007f"#), ("\u{9b}", #"\u009b"#), ("\u{61c}", #"\u061c"#),
    ("\u{200b}\u{200d}\u{200f}", #"\u200b\u200d\u200f"#),
    ("\u{2028}\u{202a}\u{202e}", #"\u2028\u202a\u202e"#),
    ("\u{2060}\u{2065}\u{2069}", #"\u2060\u2065\u2069"#), ("\u{feff}", #"\ufeff"#),
    ("\u{e0041}", #"\udb40\udc41"#), ("é 😀 ←", "é 😀 ←"),
  ])
  func `characters that change how a line is shown are escaped everywhere`(
    text: String, escaped: String
  ) throws {
    let name = JSON.name(Name(text))
    let value = JSON.object([(text, .list([.text("a\(text)b"), name]))])
    #expect(value.line == "{\"\(escaped)\":[\"a\(escaped)b\",\"\(escaped)\"]}\n")
    // What was escaped is the same text to whoever reads it.
    guard case .object(let fields) = try read(value.line) else {
      Issue.record("not an object")
      return
    }
    #expect(fields[0].key.unicodeScalars.elementsEqual(text.unicodeScalars))
  }

  @Test func `a name that is not UTF-8 is still JSON`() {
    #expect(JSON.name(Name([0x61, 0xff, 0x62])).line == "\"a\u{fffd}b\"\n")
  }

  @Test(
    arguments: [
      "", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "[1 2]", "nul", "+1", ".5", "\"", "\"\\",
      "'a'",
      "\"\\q\"", "\"\\u12\"", "\"\\u+123\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\u{1}\"",
      "1 1", "[]]", "// no", String(repeating: "[", count: 100_000),
    ])
  func `what is not JSON is refused`(text: String) {
    #expect(throws: JSONReader.Fault.self) { try JSONReader.read(Array(text.utf8)) }
  }

  @Test(arguments: [
    "02", "-", "-01", "1.", "1.e5", "1e", "1e+", "1-2", "0x10", "1a", "--1", "00", "1.2.3", "1e5.5",
  ])
  func `a number that is not in JSON's form is refused`(text: String) {
    let fault = #expect(throws: JSONReader.Fault.self) { try read("[\(text)]") }
    #expect(fault?.message == "expected a value, not \(text)")
    #expect(fault?.place.column == 2)
  }

  @Test(arguments: [
    ("{\"a\": 1 \"b\": 2}", "expected ',' or '}' in an object, not a string"),
    ("{\"a\": 1; \"b\": 2}", "expected ',' or '}' in an object, not ';'"),
    ("{\"a\": 1", "expected ',' or '}' in an object, not the end of the file"),
    ("[1 2]", "expected ',' or ']' in a list, not 2"),
    ("[1 \u{1b}]", "expected ',' or ']' in a list, not '\\u{1B}'"),
    ("{\"a\" = 1}", "expected ':' after a key, not '='"),
    ("{a: 1}", "expected a key in double quotes, not a"),
    ("[1, ]", "expected a value, not ']'"),
    ("[] []", "expected nothing after the value, not '['"),
    (
      "[" + String(repeating: "é", count: 99),
      "expected a value, not " + String(repeating: "é", count: 40)
    ),
  ])
  func `a mistake is reported with what was found`(text: String, message: String) {
    let fault = #expect(throws: JSONReader.Fault.self) { try read(text) }
    #expect(fault?.message == message)
  }

  @Test(arguments: ["0", "-0", "10", "0.5", "-1.25", "1e5", "1E+05", "0e-0", "120.0e1"])
  func `a number of JSON's form is read as it is written`(text: String) throws {
    #expect(try read("[\(text)]").line == "[\(text)]\n")
  }

  @Test func `a byte order mark is named`() {
    let fault = #expect(throws: JSONReader.Fault.self) { try read("\u{feff}[]") }
    #expect(
      fault?.message
        == "expected a value, not a byte order mark: save the file as UTF-8 without one")
  }

  @Test func `bytes that are not UTF-8 are refused`() {
    #expect(throws: JSONReader.Fault.self) { try JSONReader.read([0x22, 0xff, 0x22]) }
  }

  @Test(arguments: [
    ("[\n1,\n}", 3, 1), ("[1 2]", 1, 4), ("{\"é\": x}", 1, 7), ("", 1, 1), ("[\n", 2, 1),
    ("\"a\" \"b\"", 1, 5), ("{\"a\": True}", 1, 7),
  ])
  func `a mistake is reported with its line and column`(text: String, line: Int, column: Int) {
    let fault = #expect(throws: JSONReader.Fault.self) { try read(text) }
    #expect(fault?.place.line == line)
    #expect(fault?.place.column == column)
  }

  @Test func `a value has the offset at which it begins`() throws {
    let value = try JSONReader.read(Array(" {\"a\": [1, \"x\"],\n \"b\":null}".utf8))
    guard case .object(let fields) = value.content, case .list(let list) = fields[0].value.content
    else {
      Issue.record("not what was written")
      return
    }
    #expect(
      [value, fields[0].value, list[0], list[1], fields[1].value].map(\.offset) == [
        1, 7, 8, 11, 22,
      ])
  }
}
