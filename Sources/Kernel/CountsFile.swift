import SystemPackage

/// A small file in which the kernel writes one number, or lines of a key and a number.
struct CountsFile {
  /// Larger numbers are read as this one, which no machine's memory reaches.
  ///
  /// Eight of them can be added without overflow.
  static let maximum = 1 << 60

  /// The kernel's files have about 2 KiB; chosen, not tuned.
  private static let maximumByteCount = 1 << 13

  private let bytes: [UInt8]
  private let skippedWords: Int

  /// Reads a file; nil if that fails.
  ///
  /// - Parameter skippedWords: how many words precede the key in each line.
  init?(_ path: FilePath, skippedWords: Int = 0) {
    guard let file = try? File(opening: path),
      let bytes = try? file.readAll(limit: CountsFile.maximumByteCount)
    else { return nil }
    self.bytes = bytes
    self.skippedWords = skippedWords
  }

  /// The number that is the whole file; nil if the file is another word, for example `max`.
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

  /// Parses decimal digits; nil for other text, or a number of more than 64 bits.
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
