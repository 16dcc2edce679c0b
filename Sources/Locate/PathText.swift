/// A path as a user or a state file spells it, byte by byte.
///
/// TensorFlow reports a prefix as it was given, so paths are not normalized. Swift's strings are
/// equal if they differ only in the normalization of `ö`, so all comparisons are of UTF-8.
struct PathText {
  let text: String

  init(_ text: String) {
    self.text = text
  }

  /// The path of a `file:` URI, which TensorFlow does not decode; any other text as it is.
  init(withoutScheme text: String) {
    for start in ["file:///", "file://localhost/"] where Self.has(text, prefix: start) {
      self.text = "/" + String(text.unicodeScalars.dropFirst(start.unicodeScalars.count))
      return
    }
    self.text = text
  }

  /// Whether the text is a URL, such as that of an object store: `gs://bucket/model`.
  var isRemote: Bool {
    let scheme = text.unicodeScalars.prefix { ("a"..."z").contains($0) || ("0"..."9").contains($0) }
    return !scheme.isEmpty && String(scheme) != "file"
      && PathText.has(String(text.unicodeScalars[scheme.endIndex...]), prefix: "://")
  }

  /// Whether the path is absolute.
  var isAbsolute: Bool { text.utf8.first == UInt8(ascii: "/") }

  /// The path up to its last slash, with the slash; empty without one.
  var directory: String {
    let scalars = text.unicodeScalars
    return scalars.lastIndex(of: "/").map { String(scalars[...$0]) } ?? ""
  }

  /// What follows the last slash.
  var name: String {
    let scalars = text.unicodeScalars
    return scalars.lastIndex(of: "/").map { String(scalars[scalars.index(after: $0)...]) } ?? text
  }

  /// The path without slashes at its end; empty for one of slashes alone.
  var withoutLastSlashes: PathText {
    let end = text.unicodeScalars.lastIndex { $0 != "/" }
    return PathText(end.map { String(text.unicodeScalars[...$0]) } ?? "")
  }

  /// The text without an ending; nil if it does not have the ending.
  func dropping(_ ending: String) -> String? {
    guard text.utf8.suffix(ending.utf8.count).elementsEqual(ending.utf8) else { return nil }
    return String(text.unicodeScalars.dropLast(ending.unicodeScalars.count))
  }

  /// Whether no file can have the path, since it contains NUL.
  var isImpossible: Bool { text.utf8.contains(0) }

  /// Joins a path to a directory, as Python's `os.path.join` does.
  func joined(_ path: PathText) -> PathText {
    if path.isAbsolute || text.isEmpty { return path }
    return PathText(text.utf8.last == UInt8(ascii: "/") ? text + path.text : "\(text)/\(path.text)")
  }

  static func has(_ text: String, prefix: String) -> Bool {
    text.utf8.starts(with: prefix.utf8)
  }
}
