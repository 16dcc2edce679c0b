import Testing
import WarmstartTensorModel

/// The names under which administrators publish checkpoints.
@Suite struct PublicationTests {
  @Test(arguments: ["a", "bert", "bert-large_v1.2", "0", "_x", String(repeating: "n", count: 64)])
  func `a name has letters, digits, dots, underscores and hyphens`(text: String) throws {
    #expect(try PublishedName(text).text == text)
    #expect(try PublishedName(word: "name:\(text)")?.description == "name:\(text)")
  }

  @Test(
    arguments: [
      "", ".", ".a", "-a", "a/b", "a b", "ä", "a\0", "a\n", String(repeating: "n", count: 65),
    ])
  func `other texts are refused, with the rule and the way to name a file`(text: String) {
    let error = #expect(throws: Problem.self) { try PublishedName(text) }
    #expect(error?.reason == .invalidRequest)
    #expect(error?.message.contains("expected 1 to 64 letters, digits, '.', '_' or '-'") == true)
    let written = #expect(throws: Problem.self) { try PublishedName(word: "name:" + text) }
    #expect(written?.message.contains("for a file of that name, write './name:") == true)
  }

  @Test(arguments: ["bert", "./name:bert", "/data/name:bert", "Name:bert", ""])
  func `a word without the prefix is a path`(word: String) throws {
    #expect(try PublishedName(word: word) == nil)
  }

  private func allows(_ rules: Publication, _ uid: UInt32, _ groups: [UInt32] = []) -> Bool {
    rules.allows(uid: uid) { groups }
  }

  @Test func `without rules everyone may use a name`() throws {
    let open = Publication(try PublishedName("n"))
    #expect(allows(open, 0) && allows(open, 1000))
  }

  @Test func `rules allow their users, the members of their groups, and root`() throws {
    let name = try PublishedName("n")
    let rules = Publication(name, users: [1000], groups: [50])
    #expect(allows(rules, 1000) && allows(rules, 1001, [7, 50]) && allows(rules, 0))
    #expect(!allows(rules, 1001) && !allows(rules, 1001, [7]) && !allows(rules, 50, [1000]))
    let users = Publication(name, users: [1000])
    #expect(!allows(users, 1001, [1000]))
  }
}
