import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// What the checkpoint must be: `sha256:` and 64 hexadecimal digits.
struct ExpectationOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Refuse the checkpoint unless its files have this digest, as \
      `cat model.index model.data-* | sha256sum` prints it, or `sha256sum` of the only file: \
      sha256:DIGITS.
      """, valueName: "digest"))
  var expect: String?

  private static let prefix = "sha256:"

  func validate() throws {
    guard let expect else { return }
    let digits = String(expect.dropFirst(Self.prefix.count))
    if expect.hasPrefix(Self.prefix), digits.utf8.count == 64, [UInt8](hexadecimal: digits) != nil {
      return
    }
    throw ValidationError("--expect: expected sha256: and 64 hexadecimal digits, not '\(expect)'")
  }

  /// The expectation; nil for none.
  var expectation: Expectation? {
    expect.map { .sha256(String($0.dropFirst(Self.prefix.count))) }
  }
}
