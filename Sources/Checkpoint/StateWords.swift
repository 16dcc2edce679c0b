import WarmstartKernel
package import WarmstartTensorModel

// What one process of the daemon leaves to the next is a list of words of eight bytes, the low byte
// first. The words lie at the end of a sealed memfd, and a footer follows them: a magic number, the
// version, the number of words, and a checksum of all that. The reader trusts none of it.

/// Collects the words that describe something to the daemon's next process.
package struct StateWriter {
  /// Little-endian, whatever the machine is.
  private var words: [UInt64] = []

  /// Begins without words.
  package init() {}

  /// The bytes of the words so far.
  package var byteCount: Int { 8 * words.count }

  /// The bytes of the words so far.
  package var rawSpan: RawSpan {
    @_lifetime(borrow self)
    borrowing get { RawSpan(_elements: words.span) }
  }

  /// Adds a number.
  package mutating func append(_ number: Int) {
    append(UInt64(bitPattern: Int64(number)))
  }

  /// Adds a number without a sign.
  package mutating func append(_ number: UInt64) {
    words.append(number.littleEndian)
  }

  /// Adds a count, and as many numbers.
  package mutating func append(_ numbers: [Int]) {
    append(numbers.count)
    for number in numbers { append(number) }
  }

  /// Adds a text: the count of its bytes, and the bytes, filled up to a whole word.
  package mutating func append(_ text: String) {
    append(text.utf8.count)
    var (word, count) = (UInt64(0), UInt64(0))
    for byte in text.utf8 {
      word |= UInt64(byte) << (8 * count)
      count += 1
      guard count == 8 else { continue }
      append(word)
      (word, count) = (0, 0)
    }
    if count > 0 { append(word) }
  }
}

/// Reads words back; every method throws if the words do not have what it expects.
package struct StateReader {
  private let bytes: [UInt8]
  private var offset = 0

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Whether all words have been read.
  package var isAtEnd: Bool { offset == bytes.count }

  /// Takes a number without a sign.
  package mutating func word() throws(Problem) -> UInt64 {
    guard bytes.count - offset >= 8 else { throw Problem(state: "it ends too early") }
    var word: UInt64 = 0
    for byte in 0..<8 { word |= UInt64(bytes[offset + byte]) << UInt64(8 * byte) }
    offset += 8
    return word
  }

  /// Takes a number.
  package mutating func number() throws(Problem) -> Int {
    Int(Int64(bitPattern: try word()))
  }

  /// Takes a number in a range.
  package mutating func number(in range: ClosedRange<Int>) throws(Problem) -> Int {
    let number = try number()
    guard range.contains(number) else {
      throw Problem(
        state: "it has \(number), expected \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Takes a count of things that take some words each, of which there must be enough left.
  package mutating func count(wordsEach: Int = 1) throws(Problem) -> Int {
    let count = try number()
    guard count >= 0, count <= (bytes.count - offset) / (8 * max(1, wordsEach)) else {
      throw Problem(state: "it counts \(count) items, more than it has words for")
    }
    return count
  }

  /// Takes a count, and as many numbers.
  package mutating func numbers() throws(Problem) -> [Int] {
    let count = try count()
    var numbers: [Int] = []
    numbers.reserveCapacity(count)
    for _ in 0..<count { numbers.append(try number()) }
    return numbers
  }

  /// Takes a text.
  package mutating func text() throws(Problem) -> String {
    let count = try number(in: 0...max(0, bytes.count - offset - 8))
    defer { offset += (count + 7) & ~7 }
    guard (count + 7) & ~7 <= bytes.count - offset else {
      throw Problem(state: "it ends too early")
    }
    return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
  }
}

extension Problem {
  /// What is wrong with state that an earlier process left.
  package init(state message: String) {
    self.init(.corrupt, message)
  }
}
