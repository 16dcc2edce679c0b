/// A path as a user or a state file spells it, kept to the byte.
///
/// TensorFlow reports a prefix as it was given, so it is not normalized; and Swift's own string
/// comparison would take two spellings of `ö` for one name, so everything here looks at UTF-8.
struct PathText {
  let text: String

  init(_ text: String) {
    self.text = text
  }

  /// The path that a `file:` URI names, which TensorFlow takes as it is, or the text itself.
  init(withoutScheme text: String) {
    for start in ["file:///", "file://localhost/"] where Self.has(text, prefix: start) {
      self.text = "/" + String(text.unicodeScalars.dropFirst(start.unicodeScalars.count))
      return
    }
    self.text = text
  }

  /// Whether it is a URL of elsewhere, as of an object store: `gs://bucket/model`.
  var isRemote: Bool {
    let scheme = text.unicodeScalars.prefix { ("a"..."z").contains($0) || ("0"..."9").contains($0) }
    return !scheme.isEmpty && String(scheme) != "file"
      && PathText.has(String(text.unicodeScalars[scheme.endIndex...]), prefix: "://")
  }

  /// Whether it starts at the root.
  var isAbsolute: Bool { text.utf8.first == UInt8(ascii: "/") }

  /// The path up to and with its last slash; empty if it has none.
  var directory: String {
    let scalars = text.unicodeScalars
    return scalars.lastIndex(of: "/").map { String(scalars[...$0]) } ?? ""
  }

  /// What follows the last slash.
  var name: String {
    let scalars = text.unicodeScalars
    return scalars.lastIndex(of: "/").map { String(scalars[scalars.index(after: $0)...]) } ?? text
  }

  /// The text without an ending; nil if it does not end so.
  func dropping(_ ending: String) -> String? {
    guard text.utf8.suffix(ending.utf8.count).elementsEqual(ending.utf8) else { return nil }
    return String(text.unicodeScalars.dropLast(ending.unicodeScalars.count))
  }

  /// Whether no path can be so: a name has no NUL.
  var isImpossible: Bool { text.utf8.contains(0) }

  /// A path below a directory, as Python's `os.path.join` makes it.
  func joined(_ path: PathText) -> PathText {
    if path.isAbsolute || text.isEmpty { return path }
    return PathText(text.utf8.last == UInt8(ascii: "/") ? text + path.text : "\(text)/\(path.text)")
  }

  static func has(_ text: String, prefix: String) -> Bool {
    text.utf8.starts(with: prefix.utf8)
  }
}
