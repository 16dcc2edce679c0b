import Locate
import SystemPackage
import Testing

/// The dialect is that of TensorFlow 2.21's `tf.io.gfile.glob`, which answered every row.
@Suite struct PatternTests {
  private static let names = [
    "m-1", "m-2", "mö", "m]", "m-", "m\\x", ".dot", "m-a", "m-b", "sub/m-1", "su[b]/m-1", "m!",
    "m^",
    "m{1,2}", "ma", "a-]", "ab", "x[", "x[!", "x[]", "x]",
  ]

  private static let patterns: [(pattern: String, matches: [String])] = [
    ("m-?", ["m-1", "m-2", "m-a", "m-b"]),
    ("m?", ["m!", "m-", "m]", "m^", "ma", "mö"]),
    ("m-[12]", ["m-1", "m-2"]),
    ("m-[!1]", ["m-2", "m-a", "m-b"]),
    ("m-[^1]", ["m-2", "m-a", "m-b"]),
    ("m-[1-2]", ["m-1", "m-2"]),
    ("m-[2-1]", []),
    ("m-[ab]", ["m-a", "m-b"]),
    ("m[", []),
    ("m-[1", []),
    ("m[]]", ["m]"]),
    ("m[!]]", ["m!", "m-", "m^", "ma", "mö"]),
    ("m[!a-z]", ["m!", "m-", "m]", "m^", "mö"]),
    ("m[!-]", ["m!", "m]", "m^", "ma", "mö"]),
    ("m-[-]", []),
    ("m-[a-]", ["m-a"]),
    ("a[]-a]*", []),
    ("m-[a/b]", []),
    ("?[", ["x["]),
    ("?[!", ["x[!"]),
    ("?[]", ["x[]"]),
    ("x[!]", []),
    ("?[[]", ["x["]),
    ("x[]]", ["x]"]),
    ("x[\\]]", ["x]"]),
    ("m-[\\1]", ["m-1"]),
    ("m-[!\\1]", ["m-2", "m-a", "m-b"]),
    ("m-[1\\-3]", ["m-1"]),
    ("m-[0-\\2]", ["m-1", "m-2"]),
    ("?dot", [".dot"]),
    ("*dot", [".dot"]),
    ("m-**", ["m-", "m-1", "m-2", "m-a", "m-b"]),
    ("m*-*1", ["m-1"]),
    ("m*1*2*", ["m{1,2}"]),
    ("s*/m-1", ["su[b]/m-1", "sub/m-1"]),
    ("*/*", ["su[b]/m-1", "sub/m-1"]),
    ("s?b/m*", ["sub/m-1"]),
    ("s**b/*", ["sub/m-1"]),
    ("su\\[b\\]/m-1", ["su[b]/m-1"]),
    ("m\\\\x", ["m\\x"]),
    ("m\\-1", ["m-1"]),
    ("m\\", []),
    ("m-{1,2}*", []),
    ("sub/../m-?", ["m-1", "m-2", "m-a", "m-b"]),
    ("none*/m-1", []),
    ("*/none", []),
  ]

  @Test(arguments: patterns)
  func `a pattern matches what TensorFlow matches`(pattern: String, matches: [String]) throws {
    let scratch = try Scratch()
    for name in Self.names { try scratch.write(name) }
    guard !matches.isEmpty else {
      let error = try refusal(of: scratch(pattern))
      #expect(error.kind == .checkpointNotFound)
      return
    }
    let files = try CheckpointFiles.locate(scratch(pattern))
    #expect(files.format == .v1)
    #expect(files.prefix == scratch(pattern))
    #expect(files.opened.allSatisfy { $0.role == .table })
    let found = files.opened.map { $0.path.string.dropFirst(scratch.path.utf8.count + 1) }
    let wanted = pattern.hasPrefix("sub/..") ? matches.map { "sub/../\($0)" } : matches
    #expect(found.map(String.init) == wanted)
  }

  @Test func `a literal path is tried before the pattern that it also is`() throws {
    let scratch = try Scratch()
    try scratch.write("m[1]", "m1", "we[ird]*d/m?x-1.index", "m*.index", "mm.index")
    #expect(
      try CheckpointFiles.locate(scratch("m[1]")).opened.map(\.path.string) == [scratch("m[1]")])
    #expect(try CheckpointFiles.locate(scratch("we[ird]*d/m?x-1")).format == .v2)
    #expect(try CheckpointFiles.locate(scratch("m*")).prefix == scratch("m*"))
  }

  @Test func `a pattern cannot name an index`() throws {
    let scratch = try Scratch()
    try scratch.write("m-1.index", "m-1.data-00000-of-00001")
    let error = try refusal(of: scratch("m-?"))
    guard case .notFound(_, let hint?) = error else { throw error }
    #expect(hint.contains("'\(scratch("m-1"))'"))
  }

  @Test func `a directory that a pattern matches is no table`() throws {
    let scratch = try Scratch()
    try scratch.write("m-1/x")
    #expect(throws: LocateError.notRegular(path: scratch("m-1"))) {
      try CheckpointFiles.locate(scratch("m-*"))
    }
  }

  @Test func `a pattern leads to at most as many files as a checkpoint has`() throws {
    let scratch = try Scratch()
    // 17³ is more than 4096.
    for number in 1...17 { try scratch.write("\(number)/m") }
    #expect(try CheckpointFiles.locate(scratch("*/../*/m")).opened.count == 17 * 17)
    let error = try refusal(of: scratch("*/../*/../*/m"))
    guard case .tooManyFiles(_, CheckpointFiles.maximumFileCount) = error else { throw error }
  }
}
