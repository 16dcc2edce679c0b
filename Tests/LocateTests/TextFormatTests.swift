import Locate
import Testing

/// Every text went through TensorFlow 2.21's own reader, which says what must come of it.
@Suite struct TextFormatTests {
  /// Texts that are read, and the path that they then name.
  private static let accepted: [(text: String, path: String)] = [
    ("", ""),
    ("  \n\t\r\n", ""),
    ("# nothing", ""),
    (#"model_checkpoint_path: "m""#, "m"),
    (#"model_checkpoint_path:"m""#, "m"),
    ("model_checkpoint_path :\n\"m\"", "m"),
    ("model_checkpoint_path: 'm'", "m"),
    (#"model_checkpoint_path: "m";"#, "m"),
    (#"model_checkpoint_path: "m","#, "m"),
    (#"model_checkpoint_path: "m" ; all_model_checkpoint_paths: "m""#, "m"),
    (#"model_checkpoint_path: "m"  # said"#, "m"),
    ("# said: \"x\"\nmodel_checkpoint_path: \"m\"", "m"),
    ("model_checkpoint_path: \"m\" # a\n \"n\"", "mn"),
    ("model_checkpoint_path: \"m\"\r\nall_model_checkpoint_paths: \"m\"\r\n", "m"),
    (#"model_checkpoint_path: "a" "b""#, "ab"),
    ("model_checkpoint_path: \"a\"'b'\n\"c\"", "abc"),
    (#"model_checkpoint_path: "a"model_checkpoint_path: "b""#, "b"),
    ("model_checkpoint_path: \"a\"\nmodel_checkpoint_path: \"b\"", "b"),
    (#"model_checkpoint_path: """#, ""),
    (#"all_model_checkpoint_paths: "m""#, ""),
    (#"all_model_checkpoint_paths: ["a", "b"]"#, ""),
    ("all_model_checkpoint_paths: []", ""),
    (#"all_model_checkpoint_paths: ["a" "b"]"#, ""),
    (#"all_model_checkpoint_paths: ["a"],model_checkpoint_path: "m""#, "m"),
    ("all_model_checkpoint_timestamps: 1.5", ""),
    ("all_model_checkpoint_timestamps: [1, 2.5e3, -3]", ""),
    ("all_model_checkpoint_timestamps: .5", ""),
    ("all_model_checkpoint_timestamps: 5.", ""),
    ("all_model_checkpoint_timestamps: 1e-5", ""),
    ("all_model_checkpoint_timestamps: +1", ""),
    ("all_model_checkpoint_timestamps: 1.5f", ""),
    ("all_model_checkpoint_timestamps: inf", ""),
    ("all_model_checkpoint_timestamps: -Infinity", ""),
    ("all_model_checkpoint_timestamps: nan", ""),
    ("last_preserved_timestamp: 1700000000.25", ""),
    (#"model_checkpoint_path: "\n\t\r\a\b\f\v\\\'\"""#, "\n\t\r\u{7}\u{8}\u{c}\u{b}\\'\""),
    (#"model_checkpoint_path: "\155\055\1""#, "m-\u{1}"),
    (#"model_checkpoint_path: "\x6d\x2D\xa""#, "m-\n"),
    (#"model_checkpoint_path: "\x6d6""#, "m6"),
    (#"model_checkpoint_path: "\u006d\U0001F600""#, "m😀"),
    (#"model_checkpoint_path: "\303\266""#, "ö"),
    (#"model_checkpoint_path: "\q\?""#, #"\q\?"#),
    (#"model_checkpoint_path: "mödel 模""#, "mödel 模"),
    (#"model_checkpoint_path: "a # b""#, "a # b"),
    ("model_checkpoint_path: \"a\tb\rc\"", "a\tb\rc"),
    (#"model_checkpoint_path: "it's""#, "it's"),
    (#"model_checkpoint_path: "\0""#, "\u{0}"),
    ("last_preserved_timestamp: 1_0", ""),
    ("last_preserved_timestamp: 1_000.000_1f", ""),
    ("last_preserved_timestamp: 1e1_0", ""),
    ("last_preserved_timestamp: 0_1", ""),
    ("last_preserved_timestamp: +01", ""),
    ("last_preserved_timestamp: -inff", ""),
    ("last_preserved_timestamp: infinityff", ""),
    ("last_preserved_timestamp: -nanff", ""),
    ("last_preserved_timestamp: +infinityf", ""),
    ("last_preserved_timestamp: 1ff", ""),
    ("last_preserved_timestamp: .5_5", ""),
    ("last_preserved_timestamp: \u{661}", ""),
    ("last_preserved_timestamp: \u{ff11}", ""),
    ("\u{1c}model_checkpoint_path\u{1c}:\u{1c}\"a\u{1c}\"\u{1c}'b'\u{1c}", "a\u{1c}b"),
    ("\u{1f}model_checkpoint_path\u{1f}:\u{1f}\"a\u{1f}\"\u{1f}'b'\u{1f}", "a\u{1f}b"),
    ("\u{85}model_checkpoint_path\u{85}:\u{85}\"a\u{85}\"\u{85}'b'\u{85}", "a\u{85}b"),
    ("\u{a0}model_checkpoint_path\u{a0}:\u{a0}\"a\u{a0}\"\u{a0}'b'\u{a0}", "a\u{a0}b"),
    (
      "\u{1680}model_checkpoint_path\u{1680}:\u{1680}\"a\u{1680}\"\u{1680}'b'\u{1680}", "a\u{1680}b"
    ),
    (
      "\u{2003}model_checkpoint_path\u{2003}:\u{2003}\"a\u{2003}\"\u{2003}'b'\u{2003}", "a\u{2003}b"
    ),
    (
      "\u{2028}model_checkpoint_path\u{2028}:\u{2028}\"a\u{2028}\"\u{2028}'b'\u{2028}", "a\u{2028}b"
    ),
    (
      "\u{202f}model_checkpoint_path\u{202f}:\u{202f}\"a\u{202f}\"\u{202f}'b'\u{202f}", "a\u{202f}b"
    ),
    (
      "\u{205f}model_checkpoint_path\u{205f}:\u{205f}\"a\u{205f}\"\u{205f}'b'\u{205f}", "a\u{205f}b"
    ),
    (
      "\u{3000}model_checkpoint_path\u{3000}:\u{3000}\"a\u{3000}\"\u{3000}'b'\u{3000}", "a\u{3000}b"
    ),
    (#"model_checkpoint_path: "\N{DIGIT ONE}\N{latin small letter a}\N{SOLIDUS}x""#, "1a/x"),
    (#"model_checkpoint_path: "\N{REVERSE SOLIDUS}n\N{APOSTROPHE}""#, "\\n'"),
    (#"model_checkpoint_path: "\303\N{INVERTED QUESTION MARK}""#, "\u{ff}"),
    (#"model_checkpoint_path: "\\N{SPACE}""#, #"\N{SPACE}"#),
  ]

  private static let refused = [
    #"model_checkpoint_path: "m"#,
    "model_checkpoint_path: \"m\n\"",
    "model_checkpoint_path: \"m\\\n\"",
    #"model_checkpoint_path: "m\"#,
    "model_checkpoint_path: m",
    "model_checkpoint_path: 5",
    "model_checkpoint_path: ",
    #"model_checkpoint_path "m""#,
    "model_checkpoint_path",
    #"model_checkpoint_path = "m""#,
    #"model_checkpoint_path: ["m"]"#,
    "model_checkpoint_path: { }",
    #"model_checkpoint_paths: "m""#,
    #"Model_Checkpoint_Path: "m""#,
    "foo: 1",
    "model_checkpoint_path: \"m\"\nfoo: 1",
    #"[a.b]: "m""#,
    #"1: "m""#,
    #": "m""#,
    #""m""#,
    #"model_checkpoint_path: "m";;"#,
    #"model_checkpoint_path: "m",;"#,
    #";model_checkpoint_path: "m""#,
    #"model_checkpoint_path: "m"}"#,
    #"{model_checkpoint_path: "m"}"#,
    "\u{feff}model_checkpoint_path: \"m\"",
    #"model_checkpoint_path: "m\377""#,
    #"model_checkpoint_path: "\400""#,
    #"model_checkpoint_path: "\777""#,
    #"model_checkpoint_path: "\x""#,
    #"model_checkpoint_path: "\xg""#,
    #"model_checkpoint_path: "\u12""#,
    #"model_checkpoint_path: "\ud800""#,
    #"model_checkpoint_path: "\U00110000""#,
    #"model_checkpoint_path: "\U1234567""#,
    #"all_model_checkpoint_paths: ["a",]"#,
    #"all_model_checkpoint_paths: ["a" ; "b"]"#,
    #"all_model_checkpoint_paths: ["a""#,
    "all_model_checkpoint_paths: [",
    "all_model_checkpoint_paths: 1",
    #"all_model_checkpoint_timestamps: "1""#,
    "all_model_checkpoint_timestamps: x",
    "all_model_checkpoint_timestamps: 1x",
    "all_model_checkpoint_timestamps: 0x10",
    "all_model_checkpoint_timestamps: 1.2.3",
    "all_model_checkpoint_timestamps: e5",
    "all_model_checkpoint_timestamps: 1e",
    "all_model_checkpoint_timestamps: .",
    "all_model_checkpoint_timestamps: -",
    "all_model_checkpoint_timestamps: 012",
    "all_model_checkpoint_timestamps: - 1",
    "all_model_checkpoint_timestamps: inf5",
    "last_preserved_timestamp: [1]",
    #"last_preserved_timestamp: "1""#,
    "model_checkpoint_path: \"m\" \u{0}",
    #"model_checkpoint_path: "m" // c"#,
    "// c\nmodel_checkpoint_path: \"m\"",
    #"model_checkpoint_path-x: "m""#,
    "model-checkpoint: 1",
    "\n\n  foo: 1",
    "last_preserved_timestamp: 1_",
    "last_preserved_timestamp: _1",
    "last_preserved_timestamp: 1__0",
    "last_preserved_timestamp: 1_e1",
    "last_preserved_timestamp: 1_.5",
    "last_preserved_timestamp: 1._5",
    "last_preserved_timestamp: 1e_5",
    "last_preserved_timestamp: 0_",
    "last_preserved_timestamp: 0.0_f",
    "last_preserved_timestamp: infff",
    "last_preserved_timestamp: +inff",
    "last_preserved_timestamp: -01",
    "last_preserved_timestamp: 00.1",
    "last_preserved_timestamp: inf_",
    "last_preserved_timestamp: i_nf",
    "last_preserved_timestamp: 1\u{661}",
    "last_preserved_timestamp: \u{b2}",
    "last_preserved_timestamp: -\u{661}",
    "last_preserved_timestamp: --1",
    "model_checkpoint_path:\u{200b}\"m\"",
    "model_checkpoint_path:\u{feff}\"m\"",
    "model_checkpoint_path:\u{7f}\"m\"",
    "model_checkpoint_path:\u{1}\"m\"",
    "model_checkpoint_path:\u{180e}\"m\"",
    #"model_checkpoint_path: "\N""#,
    #"model_checkpoint_path: "\N{""#,
    #"model_checkpoint_path: "\N{}""#,
    #"model_checkpoint_path: "\N{FOO}""#,
    #"model_checkpoint_path: "\N{BULLET}""#,
    #"model_checkpoint_path: "\N{DIGIT ONE""#,
    #"model_checkpoint_path: "\N{ SPACE}""#,
    #"model_checkpoint_path: "\N {SPACE}""#,
    #"model_checkpoint_path: "\N{DIGIT_ONE}""#,
    #"model_checkpoint_path: "\N{U+0041}""#,
    #"model_checkpoint_path: "\N{LATIN SMALL LETTER E WITH ACUTE}""#,
    #"model_checkpoint_path: "\NSPACE""#,
  ]

  @Test(arguments: accepted)
  func `what TensorFlow reads is read as it does`(text: String, path: String) throws {
    let scratch = try Scratch()
    try scratch.writeState(text)
    let error = try refusal(of: scratch.path)
    switch error {
    case .statePathEmpty(let state, _):
      #expect(path.isEmpty && state == scratch("checkpoint"))
    case .stateTargetMissing(_, let target, _):
      #expect(target.utf8.elementsEqual(scratch(path).utf8))
    default:
      throw error
    }
  }

  @Test(arguments: refused)
  func `what TensorFlow refuses is refused`(text: String) throws {
    let scratch = try Scratch()
    try scratch.writeState(text)
    let error = try refusal(of: scratch.path)
    guard case .stateMalformed = error else { throw error }
    #expect(error.kind == .checkpointStateInvalid)
  }

  @Test(arguments: [
    ("foo: 1", 1, 1), ("\n\n  foo: 1", 3, 3), ("model_checkpoint_path \"m\"", 1, 23),
    ("model_checkpoint_path: 'm", 1, 26), ("# ö\r\nmodel_checkpoint_path: 'ö' x", 2, 28),
    ("model_checkpoint_path: 'a\\400'", 1, 26), ("all_model_checkpoint_paths: ['a';", 1, 33),
    ("last_preserved_timestamp: soon", 1, 27),
  ])
  func `a refusal says where`(text: String, line: Int, column: Int) throws {
    let scratch = try Scratch()
    try scratch.writeState(text)
    let error = try refusal(of: scratch.path)
    guard case .stateMalformed(_, line, column, _, _) = error else { throw error }
    #expect(error.description.contains(":\(line):\(column): expected "))
  }

  @Test(arguments: [
    [0xFF], Array("model_checkpoint_path: '".utf8) + [0xC3, 0x28] + Array("'".utf8),
    Array("# ".utf8) + [0xED, 0xA0, 0x80],
  ])
  func `a file that is not UTF-8 is refused, even in a comment`(bytes: [UInt8]) throws {
    let scratch = try Scratch()
    try scratch.write("checkpoint", bytes: bytes)
    let error = try refusal(of: scratch.path)
    guard case .stateMalformed(_, 1, _, "UTF-8", _) = error else { throw error }
  }
}
