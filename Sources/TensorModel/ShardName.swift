/// How TensorFlow numbers the files of a checkpoint that has several: `00002-of-00004`.
///
/// Numbers have at least five digits, and no more leading zeros than that takes; TensorFlow opens
/// no other names. A data file is called `<prefix>.data-<shard name>`, a table of a V1 checkpoint
/// `<stem>-<shard name>`.
package struct ShardName: Sendable, Hashable {
  /// The number of the file, from 0.
  package let number: Int
  /// How many files there are.
  package let total: Int

  /// Makes the name of a file, whether or not there can be one.
  package init(number: Int, total: Int) {
    self.number = number
    self.total = total
  }

  /// Reads a name.
  ///
  /// - Returns: nil if TensorFlow writes no such name, or if the number is not below the total.
  package init?(_ text: ArraySlice<UInt8>) {
    let separator = "-of-".utf8
    guard let dash = text.firstIndex(of: UInt8(ascii: "-")),
      text[dash...].starts(with: separator),
      let number = ShardName.number(text[..<dash]),
      let total = ShardName.number(text[dash...].dropFirst(separator.count)), number < total
    else { return nil }
    self.init(number: number, total: total)
  }

  /// The name: `00002-of-00004`.
  package var text: String { "\(ShardName.padded(number))-of-\(ShardName.padded(total))" }

  /// The pattern of all files of the total, as TensorFlow writes it into state files.
  package var pattern: String { "?????-of-\(ShardName.padded(total))" }

  /// A number as `padded` writes it; nil for any other text, and for 2^31 and more.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    let zero = UInt8(ascii: "0")
    guard digits.count == 5 || digits.count > 5 && digits.first != zero,
      digits.allSatisfy({ zero...UInt8(ascii: "9") ~= $0 }),
      let value = Int32(String(decoding: digits, as: UTF8.self))
    else { return nil }
    return Int(value)
  }

  /// A number in five places, as C's `%05d` formats it.
  private static func padded(_ number: Int) -> String {
    let digits = String(number.magnitude)
    let sign = number < 0 ? "-" : ""
    return sign + String(repeating: "0", count: max(0, 5 - sign.count - digits.count)) + digits
  }
}
