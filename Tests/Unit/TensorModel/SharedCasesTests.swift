import Testing
import WarmstartTestSupport

/// The reader of the shared cases refuses cases that would test nothing.
@Suite struct SharedCasesTests {
  private struct Example: SharedCase, Equatable {
    struct Inner: Codable, Equatable {
      let a: Int?
    }

    let name: String
    let n: Int?
    let inner: Inner?
  }

  private func read(_ cases: String, defaults: String = "{}") throws -> [Example] {
    try SharedCases.decode(
      text: #"{"about": ["x"], "defaults": \#(defaults), "cases": [\#(cases)]}"#, as: Example.self)
  }

  @Test func `a case has its own fields and the file's defaults`() throws {
    let cases = try read(
      #"{"name": "x"}, {"name": "y", "n": 9223372036854775807}"#, defaults: #"{"n": 1}"#)
    #expect(cases.map(\.n) == [1, Int.max])
  }

  @Test(arguments: [
    "", #"{"name": "x", "m": 1}"#, #"{"name": "x", "inner": {"a": 1, "b": 2}}"#, #"{"n": 1}"#,
    #"{"name": "x", "n": null}"#, #"{"name": "x"}, {"name": "x"}"#, #"{"name": "x", "n": "1"}"#,
  ])
  func `no case, an unknown field, a null or a repeated name is refused`(cases: String) {
    #expect(throws: (any Error).self) { try read(cases) }
  }

  @Test func `an unknown field of the file or of its defaults is refused`() {
    #expect(throws: (any Error).self) {
      try SharedCases.decode(
        text: #"{"about": ["x"], "cases": [{"name": "x"}], "other": 1}"#, as: Example.self)
    }
    #expect(throws: (any Error).self) { try read(#"{"name": "x"}"#, defaults: #"{"m": 1}"#) }
  }

  private struct Escaped: SharedCase {
    let name: String
    let text: EscapedText
  }

  private func bytes(_ text: String) throws -> [UInt8] {
    let cases = try SharedCases.decode(
      text: #"{"about": ["x"], "cases": [{"name": "x", "text": "\#(text)"}]}"#, as: Escaped.self)
    return cases[0].text.bytes
  }

  @Test func `an escape is a byte, and all else is UTF-8`() throws {
    #expect(try bytes("a%00%fF%25ö") == [0x61, 0x00, 0xFF, 0x25, 0xC3, 0xB6])
    for malformed in ["%", "%0", "%0g", "%+1"] {
      #expect(throws: (any Error).self) { try bytes(malformed) }
    }
  }
}
