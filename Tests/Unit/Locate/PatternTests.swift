import SystemPackage
import Testing
import WarmstartLocate
import WarmstartTensorModel

/// What a pattern costs; what it matches is in `Tests/Data/Cases/patterns.json`.
@Suite struct PatternTests {
  @Test func `a pattern leads to at most as many files as a checkpoint has`() throws {
    let scratch = try Scratch()
    // 17³ is more than 4096.
    for number in 1...17 { try scratch.write("\(number)/m") }
    #expect(try CheckpointFiles.locate(scratch("*/../*/m")).opened.count == 17 * 17)
    try expectTooMany(scratch("*/../*/../*/m"))
  }

  @Test(arguments: ["", ".index"])
  func `a pattern that matches too much in one directory is named`(ending: String) throws {
    let scratch = try Scratch()
    for number in 0...maximumCheckpointFiles {
      try scratch.write("m-\(number)\(ending)")
    }
    try expectTooMany(scratch("m-*"))
  }

  private func expectTooMany(_ pattern: String) throws {
    let error = try refusal(of: pattern)
    #expect(
      error == .tooManyMatches(pattern: pattern, limit: maximumCheckpointFiles))
    #expect(error.kind == .checkpointNotFound)
    #expect(
      error.description
        == "the pattern '\(pattern)' matches more than 4096 names: expected the files of one "
        + "checkpoint")
  }
}
