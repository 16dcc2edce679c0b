import Testing
import WarmstartTensorModel

@testable import warmstartctl

/// What a command says when it fails.
@Suite struct FailureTests {
  private let problems = (0..<30).map { Problem(.pairUnused, "pair \($0)") }

  @Test func `a script gets the number of all problems, described or not`() {
    let line = Failure(Array(problems.prefix(1)), count: 100_000).json.line
    #expect(
      line == #"{"error":{"code":"INVALID_ARGUMENT","reason":"PAIR_UNUSED","message":"pair 0","#
        + #""problem_count":100000,"details":[{"reason":"PAIR_UNUSED","message":"pair 0"}]}}"#
        + "\n")
  }

  @Test func `people see the first problems and the number of all`() {
    let lines = Failure(problems, count: 100_000).text.split(separator: "\n")
    #expect(lines.first == "warmstartctl: INVALID_ARGUMENT (PAIR_UNUSED): pair 0")
    #expect(lines.count == 22)
    #expect(lines.dropFirst().first == "  pair 1")
    #expect(lines.last == "  … 100000 problems in all")
  }

  @Test func `people see no number if they see every problem`() {
    let text = Failure(Array(problems.prefix(2)), count: 2).text
    #expect(text == "warmstartctl: INVALID_ARGUMENT (PAIR_UNUSED): pair 0\n  pair 1\n")
  }
}
