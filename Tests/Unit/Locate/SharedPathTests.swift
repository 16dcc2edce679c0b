import FoundationEssentials
import SystemPackage
import Testing
import WarmstartLocate
import WarmstartTensorModel
import WarmstartTestSupport

/// One path of `Tests/Data/Cases/paths.json` or `Tests/Data/Cases/patterns.json`.
struct PathCase: SharedCase {
  enum Format: String, Codable {
    case v1 = "V1"
    case v2 = "V2"
  }

  let name: String
  let files: [EscapedText]?
  let states: [String: EscapedText]?
  let fifos: [EscapedText]?
  let path: EscapedText
  let format: Format?
  let prefix: EscapedText?
  let opens: [EscapedText]?
  let totals: [Int]?
  let error: String?
  let hint: EscapedText?
  let says: [EscapedText]?
  let silent: [EscapedText]?
}

@Suite struct SharedPathTests {
  @Test(
    arguments: try SharedCases.load("patterns", as: PathCase.self)
      + SharedCases.load("paths", as: PathCase.self))
  func `a path leads where the shared cases say`(given: PathCase) throws {
    let scratch = try Scratch()
    for name in given.files ?? [] { try scratch.write(name.text) }
    for name in given.fifos ?? [] { try scratch.makeFIFO(name.text) }
    for (directory, text) in given.states ?? [:] {
      try scratch.writeState(text.text.replacing("@DIR@", with: scratch.path), in: directory)
    }
    var spellings = [scratch.path]
    let isNamed = try given.states?.values.contains { try $0.text.contains("@DIR@") } ?? false
    if try given.path.text.hasPrefix("@DIR@"), !isNamed {
      let depth = FilePath(FileManager.default.currentDirectoryPath).components.count
      spellings.append(String(repeating: "../", count: depth) + scratch.path.dropFirst())
    }
    for directory in spellings { try check(given, in: directory) }
  }

  private func check(_ given: PathCase, in directory: String) throws {
    func spelled(_ text: EscapedText) throws -> String {
      try text.text.replacing("@DIR@", with: directory)
    }
    let path = try spelled(given.path)
    guard let wanted = given.error else {
      let files = try CheckpointFiles.locate(path)
      #expect(files.hasIndex == (given.format != .v1) && given.format != nil)
      #expect(try files.prefix.utf8.elementsEqual(spelled(#require(given.prefix)).utf8))
      #expect(try files.opened.map(\.path.string) == #require(given.opens).map(spelled))
      #expect(files.opened.allSatisfy { $0.role == (given.format == .v1 ? .whole : .index) })
      #expect(files.totals == given.totals ?? [])
      return
    }
    let error = try refusal(of: path)
    #expect(error.kind.reason == wanted)
    let message = error.description
    for text in given.says ?? [] { #expect(try message.contains(spelled(text))) }
    for text in given.silent ?? [] { #expect(try !message.contains(spelled(text))) }
    guard let hint = given.hint else { return }
    let quoted = message.split(separator: "'", omittingEmptySubsequences: false)
    #expect(quoted.count >= 3)
    #expect(try quoted.dropLast().last.map(String.init) == spelled(hint))
    #expect(throws: Never.self) { try CheckpointFiles.locate(spelled(hint)) }
  }
}
