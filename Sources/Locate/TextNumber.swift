/// Numbers in protobuf's text format, as its implementation for Python reads them.
enum TextNumber {
  /// Whether protobuf for Python reads a word as a `double`: as Python does, or with any number
  /// of `f` behind it.
  static func isValid(_ text: String) -> Bool {
    let word = text.lowercased().unicodeScalars[...]
    let digits = word.drop { $0 == "-" }
    // Octal numbers are refused, except after a plus.
    if word.count - digits.count < 2, digits.first == "0", digits.dropFirst().first?.isDigit == true
    {
      return false
    }
    if isFloat(word) || String(word) == "inff" || String(word) == "-inff" { return true }
    let count = word.reversed().prefix { $0 == "f" }.count
    return isFloat(word.dropLast(count))
  }

  /// Whether Python's `float` accepts the word, which is in lower case.
  private static func isFloat(_ word: Substring.UnicodeScalarView) -> Bool {
    var rest = word
    func take(_ marks: UnicodeScalar...) -> Bool {
      guard let first = rest.first, marks.contains(first) else { return false }
      rest.removeFirst()
      return true
    }
    /// Consumes digits, which single underscores may separate.
    func takeDigits() -> Bool {
      guard rest.first?.isDigit == true else { return false }
      while let next = rest.first {
        guard next.isDigit || next == "_" && rest.dropFirst().first?.isDigit == true else { break }
        rest.removeFirst()
      }
      return true
    }
    _ = take("+", "-")
    if ["inf", "infinity", "nan"].contains(String(rest)) { return true }
    let hasWhole = takeDigits()
    let hasFraction = take(".") && takeDigits()
    guard hasWhole || hasFraction else { return false }
    if take("e") {
      _ = take("+", "-")
      guard takeDigits() else { return false }
    }
    return rest.isEmpty
  }
}
