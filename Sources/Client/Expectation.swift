import WarmstartTensorModel

/// What a checkpoint must be for a call about it to succeed.
public struct Expectation: Sendable, Hashable {
  private let text: String

  /// Expects files with a SHA-256: the digest of the index and the data files, or of the tables,
  /// one after the other in order.
  ///
  /// `cat model.index model.data-* | sha256sum` prints it, and `sha256sum model` for a checkpoint
  /// of one file. The daemon computes it once for each generation.
  ///
  /// - Parameter digits: 64 hexadecimal digits.
  /// - Returns: The expectation.
  public static func sha256(_ digits: String) -> Expectation { Expectation(text: digits) }

  /// The feature that the daemon must have.
  static let feature = "expect"

  /// The digest; throws INVALID_REQUEST unless the digits are one.
  var digest: [UInt8] {
    get throws(WarmstartError) {
      guard text.utf8.count == 64, let digest = [UInt8](hexadecimal: text) else {
        throw WarmstartError(
          .invalidRequest,
          "the expected SHA-256 '\(text.printable)' is not valid, expected 64 hexadecimal digits")
      }
      return digest
    }
  }
}
