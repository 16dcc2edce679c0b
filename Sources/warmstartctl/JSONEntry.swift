import WarmstartTensorModel

/// A value in a JSON file, and its place there.
///
/// A method that finds a value of the wrong kind notes the problem with its place, and returns nil.
struct JSONEntry {
  /// Where a value is; its words are made only when a note needs them.
  indirect enum Place {
    case root
    case named(String)
    case field(Place, String)
    case element(Place, Int)

    /// The words for a message; empty for the file's outermost value.
    var words: String {
      switch self {
      case .root: ""
      case .named(let name): name
      case .field(.root, let key): key
      case .field(.named(let name), let key): "\(name): \(key)"
      case .field(let object, let key): "\(object.words).\(key)"
      case .element(let list, let index): "\(list.words)[\(index)]"
      }
    }
  }

  private let value: JSONValue
  private let place: Place
  private let file: JSONFile
  /// The offset of the key if the value is an object's field.
  private let keyOffset: Int?

  init(_ value: JSONValue, _ place: Place, _ file: JSONFile, keyOffset: Int? = nil) {
    self.value = value
    self.place = place
    self.file = file
    self.keyOffset = keyOffset
  }

  /// The offset of the value's first byte in the file.
  var offset: Int { value.offset }

  /// Notes a problem with the value.
  func note(_ message: String) { note(message, at: value.offset) }

  /// Notes a problem with the value's key.
  func noteKey(_ message: String) { note(message, at: keyOffset ?? value.offset) }

  private func note(_ message: String, at offset: Int) {
    let words = place.words
    file.note(words.isEmpty ? message : "\(words): \(message)", at: offset)
  }

  /// Returns the object, named by one of its fields: `variable student/w` for `variables[1]`.
  func named(_ kind: String, by key: String) -> JSONEntry {
    guard let name = text(at: key), !name.isEmpty else { return self }
    return JSONEntry(value, .named("\(kind) \(name)"), file)
  }

  var isNull: Bool {
    guard case .literal("null") = value.content else { return false }
    return true
  }

  /// The text of a string; nil for other values.
  var text: String? {
    guard case .text(let text) = value.content else { return nil }
    return text
  }

  /// Returns the string in a field; nil unless the value is an object with a string there.
  func text(at key: String) -> String? {
    guard case .object(let fields) = value.content,
      case .text(let text)? = fields.first(where: { $0.key == key })?.value.content
    else { return nil }
    return text
  }

  /// The elements of a list; nil for other values.
  var elements: [JSONEntry]? {
    guard case .list(let values) = value.content else { return nil }
    return values.enumerated().map { JSONEntry($1, .element(place, $0), file) }
  }

  /// The fields of an object in their order; nil for other values.
  var fields: [(key: String, entry: JSONEntry)]? {
    guard case .object(let fields) = value.content else { return nil }
    return fields.map {
      ($0.key, JSONEntry($0.value, .field(place, $0.key), file, keyOffset: $0.keyOffset))
    }
  }

  func name() -> Name? {
    guard let text else {
      note("expected a string")
      return nil
    }
    return Name(text)
  }

  func list() -> [JSONEntry]? {
    if elements == nil { note("expected a list") }
    return elements
  }

  func wholeNumber() -> Int? {
    guard case .literal(let literal) = value.content, let number = Int(literal) else {
      note("expected a whole number")
      return nil
    }
    return number
  }

  func wholeNumbers() -> [Int]? {
    guard let entries = list() else { return nil }
    let numbers = entries.compactMap { $0.wholeNumber() }
    return numbers.count == entries.count ? numbers : nil
  }

  func flag() -> Bool? {
    switch value.content {
    case .literal("true"): return true
    case .literal("false"): return false
    default:
      note("expected true or false")
      return nil
    }
  }

  /// Returns the object's fields by key; notes missing, unknown and repeated fields.
  ///
  /// A field whose key is similar to a known one is noted as unknown; the known one is then not
  /// noted as missing as well.
  func object(required: [String], optional: [String] = []) -> [String: JSONEntry]? {
    guard let fields else {
      note("expected an object")
      return nil
    }
    let known = required + optional
    var found: [String: JSONEntry] = [:]
    for (key, entry) in fields where known.contains(key) {
      if found.updateValue(entry, forKey: key) != nil { entry.noteKey("the field occurs twice") }
    }
    for (key, entry) in fields where !known.contains(key) {
      var nearest = NearestNames(to: Name(key))
      for name in known where found[name] == nil { nearest.offer(Name(name)) }
      if let name = known.first(where: { Name($0) == nearest.names.first }) {
        found[name] = entry
        entry.noteKey("unknown field; did you mean \(name)?")
      } else {
        entry.noteKey("unknown field, expected \(known.joined(separator: ", "))")
      }
    }
    for key in required where found[key] == nil { note("lacks \(key)") }
    return found
  }
}
