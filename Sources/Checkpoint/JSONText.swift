import WarmstartTensorModel

/// The JSON text of a checkpoint's file, whose errors say the offset in the file.
///
/// Its methods are those of `JSONScanner`.
struct JSONText {
  private(set) var scanner: JSONScanner
  /// The offset of the text in its file.
  private let start: Int

  /// Begins at the front of a text that lies at an offset of its file; throws `stopped` from then
  /// on if `checkIn` throws.
  init(
    _ bytes: [UInt8], at start: Int, checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    self.start = start
    do {
      scanner = try JSONScanner(bytes, checkIn: checkIn)
    } catch {
      throw IndexError(error, from: start)
    }
  }

  var bytes: [UInt8] { scanner.bytes }
  var offset: Int { scanner.offset }

  /// Describes a fault at an offset of the text.
  func fault(at place: Int, _ words: String) -> IndexError { .malformed(at: start + place, words) }

  /// Describes what is next in the text, which is not what was expected.
  func fault(expected: String) -> IndexError {
    let error = scanner.fault(expected: expected)
    return .malformed(at: start + error.offset, error.words)
  }

  @inline(__always)
  private mutating func scan<Result>(
    _ body: (inout JSONScanner) throws(JSONError) -> Result
  ) throws(IndexError) -> Result {
    do throws(JSONError) {
      return try body(&scanner)
    } catch {
      throw IndexError(error, from: start)
    }
  }

  mutating func peek() -> UInt8? { scanner.peek() }

  mutating func expect(_ byte: Character) throws(IndexError) {
    try scan { json throws(JSONError) in try json.expect(byte) }
  }

  mutating func takeNext(
    _ isFirst: inout Bool, before end: Character
  ) throws(IndexError) -> Bool {
    try scan { json throws(JSONError) in try json.takeNext(&isFirst, before: end) }
  }

  mutating func nextKey(_ isFirst: inout Bool) throws(IndexError) -> JSONScanner.Text? {
    try scan { json throws(JSONError) in try json.nextKey(&isFirst) }
  }

  mutating func string() throws(IndexError) -> JSONScanner.Text {
    try scan { json throws(JSONError) in try json.string() }
  }

  mutating func number() throws(IndexError) -> Int {
    try scan { json throws(JSONError) in try json.number() }
  }

  mutating func skipValue() throws(IndexError) {
    try scan { json throws(JSONError) in try json.skipValue() }
  }

  mutating func finish() throws(IndexError) {
    try scan { json throws(JSONError) in try json.finish() }
  }

  func content(_ text: JSONScanner.Text) throws(IndexError) -> [UInt8] {
    do { return try scanner.content(text) } catch { throw IndexError(error, from: start) }
  }

  func equals(_ text: JSONScanner.Text, _ other: StaticString) throws(IndexError) -> Bool {
    do { return try scanner.equals(text, other) } catch { throw IndexError(error, from: start) }
  }
}

extension IndexError {
  /// Says what is wrong with a text that lies at an offset of its file, or why it is not read on.
  fileprivate init(_ error: JSONError, from start: Int) {
    self = error.stop.map { .stopped($0) } ?? .malformed(at: start + error.offset, error.words)
  }
}
