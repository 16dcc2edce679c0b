import WarmstartTensorModel

/// A text that is no value of its setting.
package struct UnexpectedValue: Error, Hashable {
  /// What a value of the setting looks like.
  package let expected: String
  /// The text that was found.
  package let found: String

  init(_ expected: String, found: String) {
    self.expected = expected
    self.found = found
  }
}

extension UnexpectedValue: CustomStringConvertible {
  /// The error for people: the rest of a sentence about the setting.
  package var description: String { "expected \(expected), found \(found.printable)" }
}

/// An amount of memory.
package enum Size: Sendable, Hashable {
  /// A number of bytes.
  case bytes(Int)
  /// Hundredths of the machine's memory, from 1 to 100.
  case percent(Int)

  /// The least number of bytes: with less, no checkpoint's index can be read.
  package static let minimum = 1 << 20

  /// Reads a size as systemd writes it: `8G`, `8GiB` or `50%`.
  ///
  /// Units are powers of 1024.
  init(_ text: String) throws(UnexpectedValue) {
    let error = UnexpectedValue(
      "a size of at least 1M such as 8G or 8GiB, or a share of the machine's memory from 1% to 100%",
      found: text)
    guard let (number, unit) = split(text) else { throw error }
    if unit == "%" {
      guard (1...100).contains(number) else { throw error }
      self = .percent(number)
      return
    }
    let letters = ["", "K", "M", "G", "T", "P", "E"]
    guard let power = letters.firstIndex(where: { unit == $0 || !$0.isEmpty && unit == $0 + "iB" })
    else { throw error }
    let (byteCount, overflow) = number.multipliedReportingOverflow(by: 1 << (10 * power))
    guard !overflow, byteCount >= Size.minimum else { throw error }
    self = .bytes(byteCount)
  }

  /// The number of bytes on a machine with this much memory.
  package func byteCount(ofMachineWith physicalByteCount: Int) -> Int {
    switch self {
    case .bytes(let byteCount): byteCount
    case .percent(let percent): physicalByteCount / 100 * percent
    }
  }
}

/// The greatest number of seconds, connections and so on: what any `Int` of milliseconds can hold.
private let greatest = 1 << 31

/// Reads a time: seconds, or a number with one of systemd's units.
func seconds(_ text: String) throws(UnexpectedValue) -> Int {
  let factors = [("", 1), ("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)]
  guard let (number, unit) = split(text),
    let factor = factors.first(where: { $0.0 == unit })?.1, number <= greatest / factor
  else {
    throw UnexpectedValue(
      "a time such as 90, 90s, 15min, 2h or 1d, of at most \(greatest) s", found: text)
  }
  return number * factor
}

/// Reads a number of things.
func count(_ text: String) throws(UnexpectedValue) -> Int {
  guard let (number, unit) = split(text), unit.isEmpty, (1...greatest).contains(number) else {
    throw UnexpectedValue("a whole number from 1 to \(greatest)", found: text)
  }
  return number
}

/// Splits a number from its unit, with or without a space between; nil without a number, and for
/// one of 2^63 or more.
private func split(_ text: String) -> (number: Int, unit: String)? {
  let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  guard let number = Int(Substring(digits)) else { return nil }
  let rest = text.utf8.dropFirst(digits.count)
  return (number, String(Substring(rest.drop { $0 == UInt8(ascii: " ") })))
}
