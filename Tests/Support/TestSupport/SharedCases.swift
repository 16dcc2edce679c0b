internal import Foundation

/// A case of `Tests/Data/Cases`, which the tests of every language read.
///
/// Its properties are the file's fields. A field that a case may leave out is an optional.
public protocol SharedCase: Codable, Sendable, CustomStringConvertible {
  /// A sentence that states what must happen, different from those of the file's other cases.
  var name: String { get }
}

extension SharedCase {
  /// The name, which is that of the parametrised test.
  public var description: String { name }
}

/// The files of `Tests/Data/Cases`.
public enum SharedCases {
  /// What is wrong with a file: the case, and what the reader expected.
  public struct Refusal: Error, CustomStringConvertible {
    /// The message.
    public let description: String
  }

  /// Reads a file's cases.
  ///
  /// Throws for a file without cases, two cases of one name, or an unknown field.
  public static func load<Case: SharedCase>(_ file: String, as type: Case.Type) throws -> [Case] {
    let path = Golden.repository.appending(path: "Tests/Data/Cases/\(file).json")
    return try decode(Data(contentsOf: path))
  }

  /// Reads the text of a file, as `load` does.
  public static func decode<Case: SharedCase>(text: String, as type: Case.Type) throws -> [Case] {
    try decode(Data(text.utf8))
  }

  private static func decode<Case: SharedCase>(_ data: Data) throws -> [Case] {
    guard let file = try JSONSerialization.jsonObject(with: data) as? [String: Any],
      file["about"] is [String], let raw = file["cases"] as? [[String: Any]], !raw.isEmpty,
      Set(file.keys).isSubset(of: ["about", "defaults", "cases"])
    else { throw Refusal(description: "expected lines 'about', perhaps 'defaults', and 'cases'") }
    let defaults = file["defaults"] as? [String: Any] ?? [:]
    var names: Set<String> = []
    return try raw.map { raw in
      let fields = defaults.merging(raw) { _, own in own }
      let data = try JSONSerialization.data(withJSONObject: fields, options: .sortedKeys)
      let decoded = try JSONDecoder().decode(Case.self, from: data)
      // Encoding the decoded case again loses an unknown field.
      let encoded = try JSONSerialization.jsonObject(with: JSONEncoder().encode(decoded))
      guard try data == JSONSerialization.data(withJSONObject: encoded, options: .sortedKeys) else {
        throw Refusal(description: "'\(decoded.name)' has an unknown field or a null")
      }
      guard names.insert(decoded.name).inserted else {
        throw Refusal(description: "two cases are named '\(decoded.name)'")
      }
      return decoded
    }
  }
}

/// A text in `Tests/Data/Cases` that stands for bytes: `%` and two hex digits are one byte, and
/// every other character is its UTF-8.
public struct EscapedText: Codable, Sendable, Hashable {
  /// The text as it stands in the file.
  public let source: String
  /// The bytes that the text stands for.
  public let bytes: [UInt8]

  /// The bytes as text; they must be UTF-8.
  public var text: String {
    get throws {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw SharedCases.Refusal(description: "expected '\(source)' to stand for UTF-8")
      }
      return text
    }
  }

  /// Reads the text.
  public init(from decoder: any Decoder) throws {
    source = try decoder.singleValueContainer().decode(String.self)
    var bytes: [UInt8] = []
    var rest = Array(source.utf8)[...]
    while let next = rest.popFirst() {
      guard next == UInt8(ascii: "%") else {
        bytes.append(next)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit),
        let byte = UInt8(digits, radix: 16)
      else {
        throw SharedCases.Refusal(
          description: "expected two hex digits after each % of '\(source)'")
      }
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    self.bytes = bytes
  }

  /// Writes the text as it was read.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(source)
  }
}
