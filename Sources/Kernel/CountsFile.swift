import SystemPackage

/// A small file of the kernel's with a number, or with lines of a key and a number.
struct CountsFile {
  /// The largest number that is read: more than any machine has bytes, and so few that some of them
  /// can be added.
  static let maximum = 1 << 60

  /// Such files are some 2 KiB; chosen, not tuned.
  private static let maximumByteCount = 1 << 13

  private let bytes: [UInt8]
  private let skippedWords: Int

  /// Reads a file; nil if that is not possible.
  ///
  /// Keys are preceded by so many words to be skipped.
  init?(_ path: FilePath, skippedWords: Int = 0) {
    guard let file = try? File(opening: path),
      let bytes = try? file.readAll(limit: CountsFile.maximumByteCount)
    else { return nil }
    self.bytes = bytes
    self.skippedWords = skippedWords
  }

  /// The number that is all there is in the file; nil for what is none, as `max`.
  var number: Int? {
    CountsFile.number(bytes.last == newline ? bytes.dropLast() : bytes[...])
  }

  /// The number that follows a key.
  func number(of key: String) -> Int? { value(of: key).flatMap(CountsFile.number) }

  /// The number of KiB that follows a key, in bytes.
  func kibibytes(of key: String) -> Int? {
    let unit = " kB"
    guard let value = value(of: key), value.suffix(unit.utf8.count).elementsEqual(unit.utf8),
      let number = CountsFile.number(value.dropLast(unit.utf8.count))
    else { return nil }
    return min(number, CountsFile.maximum >> 10) << 10
  }

  private func value(of key: String) -> ArraySlice<UInt8>? {
    var rest = bytes[...]
    while !rest.isEmpty {
      var line = rest.prefix { $0 != newline }
      rest = rest.dropFirst(line.count + 1)
      for _ in 0..<skippedWords { line = line.drop { $0 != blank }.drop { $0 == blank } }
      guard line.starts(with: key.utf8) else { continue }
      let value = line.dropFirst(key.utf8.count)
      if value.first == blank { return value.drop { $0 == blank } }
    }
    return nil
  }

  /// A number of digits, at most `maximum`; nil for what is none, or fits no 64 bits.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard !digits.isEmpty else { return nil }
    var number: UInt64 = 0
    for byte in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      let (tenfold, isLarge) = number.multipliedReportingOverflow(by: 10)
      let (sum, isLarger) = tenfold.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
      guard !isLarge, !isLarger else { return nil }
      number = sum
    }
    return Int(min(number, UInt64(maximum)))
  }
}

private let blank = UInt8(ascii: " ")
private let newline = UInt8(ascii: "\n")
