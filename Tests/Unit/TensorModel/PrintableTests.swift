import Testing
import WarmstartTensorModel

@Suite struct PrintableTests {
  /// Characters that move the cursor, end or reverse a line, or are invisible.
  private static let unprintable: [ClosedRange<UInt32>] = [
    0x00...0x1f, 0x7f...0x9f, 0xad...0xad, 0x34f...0x34f, 0x61c...0x61c, 0x115f...0x1160,
    0x180b...0x180f, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0x3164...0x3164,
    0xfe00...0xfe0f, 0xfeff...0xfeff, 0xffa0...0xffa0, 0xfff9...0xfffb, 0xe0001...0xe0001,
    0xe0020...0xe007f, 0xe0100...0xe01ef,
  ]

  @Test(arguments: unprintable)
  func `characters that change how a line is shown are unprintable`(range: ClosedRange<UInt32>)
    throws
  {
    for value in range {
      let scalar = try #require(Unicode.Scalar(value))
      #expect(scalar.isUnprintable)
      let text = "a\(scalar)b"
      #expect(text.printable == "a\(scalar.escaped(asASCII: true))b")
      #expect(Name(text).description == text.printable)
      #expect(text.printable.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
    }
  }

  @Test func `visible characters stay as they are`() {
    for text in ["", "bert/layer_1/kernel", "~ \\\"", "é e\u{301} 😀 ← 漢字 עברית", "\u{a0}\u{3000}"] {
      #expect(text.printable.utf8.elementsEqual(text.utf8))
      #expect(Name(text).description.utf8.elementsEqual(text.utf8))
    }
  }

  @Test func `a text is escaped character by character`() {
    #expect("a\u{1b}[2J\u{9b}\r\n".printable == #"a\u{1B}[2J\u{009B}\r\n"#)
    #expect("a\u{202e}b\u{2028}".printable == #"a\u{202E}b\u{2028}"#)
  }
}
