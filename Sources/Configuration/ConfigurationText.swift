import WarmstartTensorModel

/// Reads the text of a configuration file: lines `Key = value`, comments and empty lines.
///
/// A comment is a line of its own that starts with `#`. Blanks around keys and values do not count,
/// and a value extends to the end of its line. A key stands at most once in a file, so that a file
/// cannot be read in two ways. Values are checked as they are read, so that all that is wrong is
/// reported in the order of the lines.
struct ConfigurationText {
  /// The values, in the order of the text.
  private(set) var assignments: [Assignment] = []
  /// What is wrong with the text, with the lines.
  private(set) var problems: [String] = []
  private let path: String
  /// The line on which each key stands.
  private var lines: [(setting: Setting, number: Int)] = []
  /// What the values so far make: only to check them.
  private var configuration = Configuration()

  /// Reads a text; the path is for messages.
  init(_ bytes: [UInt8], from path: String) {
    self.path = path.printable
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      read(trimmed(line), number)
    }
  }

  private mutating func read(_ line: ArraySlice<UInt8>, _ number: Int) {
    guard let first = line.first, first != UInt8(ascii: "#") else { return }
    guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else {
      let text = String(decoding: line.prefix(100), as: UTF8.self)
      problems.append("\(path):\(number): expected Key = value, found \(text.printable)")
      return
    }
    let key = String(decoding: trimmed(line[..<equals]), as: UTF8.self)
    let value = String(decoding: trimmed(line[(equals + 1)...]), as: UTF8.self)
    guard !key.isEmpty else {
      problems.append(
        "\(path):\(number): no key before =, expected Key = value with one of \(Setting.keys)")
      return
    }
    guard let setting = Setting(rawValue: key) else {
      let suggestion = Setting.suggestion(forKey: key)
      problems.append(
        "\(path):\(number): unknown key \(key.printable), expected "
          + (suggestion.isEmpty ? Setting.keys : "one of warmstartd.conf(5)") + suggestion)
      return
    }
    if let earlier = lines.first(where: { $0.setting == setting }) {
      problems.append(
        "\(path):\(number): \(key) is already set on line \(earlier.number), expected one line for it"
      )
      return
    }
    lines.append((setting, number))
    let place = "\(path):\(number): \(key)"
    do throws(UnexpectedValue) {
      try configuration.set(setting, to: value)
      assignments.append(Assignment(setting, value, at: place))
    } catch {
      problems.append("\(place): \(error)")
    }
  }

  /// A line or a part of it without the blanks around it.
  private func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    func isBlank(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
    guard let first = line.firstIndex(where: { !isBlank($0) }),
      let last = line.lastIndex(where: { !isBlank($0) })
    else { return [] }
    return line[first...last]
  }
}

extension Setting {
  /// All keys, for a message.
  fileprivate static var keys: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
