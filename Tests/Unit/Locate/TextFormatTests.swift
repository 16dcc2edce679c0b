import Testing
import WarmstartLocate
import WarmstartTestSupport

/// One text of `Tests/Data/Cases/state-files.json`.
private struct StateFileCase: SharedCase {
  let name: String
  let text: EscapedText
  let path: EscapedText?
  let error: String?
  let line: Int?
  let column: Int?
  let says: String?
}

/// Every text went through TensorFlow 2.21's own reader, whose result is expected here.
@Suite struct TextFormatTests {
  @Test(arguments: try SharedCases.load("state-files", as: StateFileCase.self))
  private func `the text format is read and refused as TensorFlow does`(
    given: StateFileCase
  ) throws {
    let scratch = try Scratch()
    try scratch.write("checkpoint", bytes: given.text.bytes)
    let error = try refusal(of: scratch.path)
    switch error {
    case .statePathEmpty(let state, _):
      #expect(given.path?.bytes == [] && state == scratch("checkpoint"))
    case .stateTargetMissing(_, let target, _):
      let path = try #require(given.path)
      #expect(Array(target.utf8) == Array(scratch("").utf8) + path.bytes)
    case .stateMalformed(_, let line, let column, _, _):
      #expect(given.path == nil && given.error == error.kind.reason)
      #expect(given.line ?? line == line && given.column ?? column == column)
      #expect(error.description.contains(":\(line):\(column): expected "))
      #expect(error.description.contains(given.says ?? ""))
    default:
      throw error
    }
  }
}

extension LocateError.Kind {
  /// The wire's name of the reason.
  var reason: String {
    switch self {
    case .checkpointNotFound: "CHECKPOINT_NOT_FOUND"
    case .checkpointStateInvalid: "CHECKPOINT_STATE_INVALID"
    case .corrupt: "CORRUPT"
    case .notAllowed: "NOT_ALLOWED"
    case .system: "SYSTEM"
    }
  }
}
