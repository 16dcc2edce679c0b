import Testing
import WarmstartTensorModel

struct JSONScannerTests {
  private func scan(_ text: String) throws -> Int {
    var json = try JSONScanner(Array(text.utf8))
    try json.skipValue()
    try json.finish()
    return json.offset
  }

  @Test(arguments: [
    "{}", "[]", "null", "true", "false", "0", "-0", "1.5e-3", #""a\"b""#,
    #"{"a":[1,{"b":[]}],"c":"d"}"#,
    " [ 1 , 2 ] ", "[[[]]]", #"{"":{}}"#, "[0,-1,2E+3]",
  ])
  func `values that JSON has are skipped`(text: String) throws {
    _ = try scan(text)
  }

  @Test(arguments: [
    "", "{", "[", "]", "{]", "[}", "[1", "[1,", "[1,]", "[,1]", "{,}", #"{"a"}"#, #"{"a":}"#,
    #"{"a":1,}"#, "{a:1}", "01", "-", "1.", ".5", "1e", "+1", "nul", "trues", "'a'", #""a"#,
    #""\x""#,
    #""\u12""#, #""\ud800""#, #""\ud800\u0041""#, "\"\u{1}\"", "1 2", "[1 2]",
  ])
  func `texts that JSON has not are refused`(text: String) {
    #expect(throws: JSONError.self) { try scan(text) }
  }

  @Test func `an error says where it is, what is there and what was expected`() throws {
    let error = try #require(throws: JSONError.self) { try scan("[1, x]") }
    #expect(error.offset == 4)
    #expect(error.words == "has x, expected a value")
  }

  @Test func `bytes that are not UTF-8 are refused where they are`() throws {
    let error = try #require(throws: JSONError.self) { try JSONScanner([0x22, 0x61, 0xff, 0x22]) }
    #expect(error.offset == 2)
  }

  @Test func `numbers up to the greatest are read`() throws {
    var json = try JSONScanner(Array("9223372036854775807".utf8))
    #expect(try json.number() == .max)
    for text in ["9223372036854775808", "1.0", "1e2", "-1", "00", "x", ""] {
      var json = try JSONScanner(Array(text.utf8))
      #expect(throws: JSONError.self, "\(text)") { try json.number() }
    }
  }

  @Test func `nesting has a limit`() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try scan(nested(128))
    #expect(throws: JSONError.self) { try scan(nested(129)) }
  }

  @Test func `escapes stand for their characters`() throws {
    var json = try JSONScanner(Array(#""\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00""#.utf8))
    let text = try json.string()
    #expect(try json.content(text) == Array("\"\\/\u{8}\u{c}\n\r\tAé😀".utf8))
    #expect(try !json.equals(text, "x"))
  }
}
