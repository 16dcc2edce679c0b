import Locate
import Messages
import SystemPackage
import Testing

/// What a pattern costs; what it matches is in `Tests/Cases/patterns.json`.
@Suite struct PatternTests {
  @Test func `a checkpoint may have as many files as the wire takes`() {
    #expect(CheckpointFiles.maximumFileCount == maximumCheckpointFiles)
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
