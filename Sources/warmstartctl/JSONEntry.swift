import Kernel
import SystemPackage
import TensorModel

/// A value in a file of JSON that knows its place there: what is wrong with it is said with the place.
struct JSONEntry {
  /// Where a value is, made into words only when they are needed.
  private indirect enum Place {
    case file(String)
    case field(Place, String)
    case element(Place, Int)

    var words: String {
      switch self {
      case .file(let path): "\(path): "
      case .field(.file(let path), let key): "\(path): \(key)"
      case .field(let object, let key): "\(object.words).\(key)"
      case .element(let list, let index): "\(list.words)[\(index)]"
      }
    }
  }

  private let value: JSON
  private let place: Place

  /// Reads a file, which may be a pipe.
  init(readingFrom path: String) throws(Failure) {
    // A request of more bytes than this could not be sent; chosen, not tuned.
    let maximumByteCount = 1 << 28
    let bytes: [UInt8]?
    do {
      let descriptor = try FileDescriptor.open(
        FilePath(path), .readOnly, options: .closeOnExec, retryOnInterrupt: true)
      let file = File(Descriptor(adopting: descriptor.rawValue))
      bytes = try file.readToEnd(limit: maximumByteCount)
    } catch {
      throw Failure("read", path, error as? Errno ?? .ioError)
    }
    guard let bytes else {
      throw Failure(.invalidRequest, "\(path): expected at most \(maximumByteCount) bytes")
    }
    do throws(JSONReader.Fault) {
      value = try JSONReader.read(bytes)
    } catch {
      throw Failure(.invalidRequest, "\(path): line \(error.line): \(error.message)")
    }
    place = .file(path)
  }

  private init(_ value: JSON, _ place: Place) {
    self.value = value
    self.place = place
  }

  /// What is wrong here.
  func fault(_ message: String) -> Failure {
    switch place {
    case .file: Failure(.invalidRequest, place.words + message)
    default: Failure(.invalidRequest, "\(place.words): \(message)")
    }
  }

  var isNull: Bool {
    guard case .literal("null") = value else { return false }
    return true
  }

  /// The value if it is a string.
  var text: String? {
    guard case .text(let text) = value else { return nil }
    return text
  }

  /// The elements if it is a list.
  var elements: [JSONEntry]? {
    guard case .list(let values) = value else { return nil }
    return values.enumerated().map { JSONEntry($1, .element(place, $0)) }
  }

  /// The fields in their order if it is an object.
  var fields: [(key: String, entry: JSONEntry)]? {
    guard case .object(let fields) = value else { return nil }
    return fields.map { ($0.key, JSONEntry($0.value, .field(place, $0.key))) }
  }

  func name() throws(Failure) -> Name {
    guard let text else { throw fault("expected a string") }
    return Name(text)
  }

  func list() throws(Failure) -> [JSONEntry] {
    guard let elements else { throw fault("expected a list") }
    return elements
  }

  func wholeNumber() throws(Failure) -> Int {
    guard case .literal(let literal) = value, let number = Int(literal) else {
      throw fault("expected a whole number")
    }
    return number
  }

  func wholeNumbers() throws(Failure) -> [Int] {
    try list().map { entry throws(Failure) in try entry.wholeNumber() }
  }

  func flag() throws(Failure) -> Bool {
    switch value {
    case .literal("true"): true
    case .literal("false"): false
    default: throw fault("expected true or false")
    }
  }

  /// The object's fields by key, if it has the required ones and none but the optional ones besides.
  func object(
    required: [String], optional: [String] = []
  ) throws(Failure) -> [String: JSONEntry] {
    guard let fields else { throw fault("expected an object") }
    var found: [String: JSONEntry] = [:]
    for (key, entry) in fields {
      guard required.contains(key) || optional.contains(key) else {
        let known = (required + optional).joined(separator: ", ")
        throw fault("has the unknown key \"\(key)\", expected \(known)")
      }
      guard found.updateValue(entry, forKey: key) == nil else {
        throw fault("has the key \"\(key)\" twice")
      }
    }
    for key in required where found[key] == nil { throw fault("lacks \(key)") }
    return found
  }
}
