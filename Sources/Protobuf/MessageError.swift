/// Why bytes are not the message they should be.
@usableFromInline package enum MessageError: Error, Hashable {
  /// The bytes do not parse, or a field has a value that no sender makes.
  case malformed(String)
  /// Unpacking would take more memory than is allowed.
  case tooLarge(limit: Int)
}

extension MessageError: CustomStringConvertible {
  /// What is wrong, in words.
  @usableFromInline package var description: String {
    switch self {
    case .malformed(let what): what
    case .tooLarge(let limit): "it unpacks to more than \(limit) bytes"
    }
  }
}
