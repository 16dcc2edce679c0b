import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// A pattern of file names, in the dialect that TensorFlow finds V1 files with.
///
/// `*` is any run of characters and `?` any one, a leading dot included; `[abc]`, `[a-z]` and
/// `[!a]` are sets; a backslash takes the next character as it is. None of them matches a slash,
/// and nothing else is special: `**` is `*`, and braces are themselves. See `glob(7)`.
struct Pattern {
  /// The pattern as the user wrote it.
  private let text: String
  private let components: [Component]
  private let isAbsolute: Bool

  /// Takes a user's path, and what to add to it.
  init(_ path: PathText, suffix: String = "") {
    text = path.text
    isAbsolute = path.isAbsolute
    components = (path.text + suffix).unicodeScalars.split(separator: "/").map {
      Component(String($0))
    }
  }

  /// Whether there is anything in it but names.
  var isSpecial: Bool { components.contains(where: \.isSpecial) }

  /// The paths that exist and match, in the order of their bytes.
  ///
  /// A directory that this user may not list is an error only if nothing matches elsewhere.
  func matches() throws(LocateError) -> [FilePath] {
    var found = [FilePath(isAbsolute ? "/" : "")]
    var refusal: LocateError?
    for component in components {
      var next: [FilePath] = []
      for directory in found {
        do throws(LocateError) {
          next += try component.matches(in: directory)
        } catch {
          switch error {
          case .notAllowed: refusal = refusal ?? error
          case .tooManyFiles(_, let limit): throw .tooManyMatches(pattern: text, limit: limit)
          default: throw error
          }
        }
        guard next.count <= maximumCheckpointFiles else {
          throw .tooManyMatches(pattern: text, limit: maximumCheckpointFiles)
        }
      }
      found = next
    }
    if found.isEmpty, let refusal { throw refusal }
    return found.sorted { $0.string.utf8.lexicographicallyPrecedes($1.string.utf8) }
  }
}

extension Pattern {
  /// The part of a pattern between two slashes.
  struct Component {
    /// What one character of a name, or a run of them, must be.
    private enum Element {
      case literal(UnicodeScalar)
      case any
      case run
      case set([ClosedRange<UInt32>], negated: Bool)
    }

    private let text: String
    private let elements: [Element]
    /// False if the component ends with a backslash that has nothing to escape.
    private let isComplete: Bool

    init(_ text: String) {
      self.text = text
      var elements: [Element] = []
      var isComplete = true
      var rest = Substring(text).unicodeScalars
      while let scalar = rest.popFirst() {
        switch scalar {
        case "*": elements.append(.run)
        case "?": elements.append(.any)
        case "[": elements.append(Self.set(&rest) ?? .literal(scalar))
        case "\\":
          if let escaped = rest.popFirst() {
            elements.append(.literal(escaped))
          } else {
            isComplete = false
          }
        default: elements.append(.literal(scalar))
        }
      }
      self.elements = elements
      self.isComplete = isComplete
    }

    /// Whether it is more than a name.
    var isSpecial: Bool {
      text.unicodeScalars.contains { $0 == "*" || $0 == "?" || $0 == "[" || $0 == "\\" }
    }

    /// Takes a set's ranges and its closing bracket; nil, taking nothing, if no bracket closes it.
    private static func set(_ rest: inout Substring.UnicodeScalarView) -> Element? {
      var body = rest
      let isNegated = body.first == "!" || body.first == "^"
      if isNegated { body.removeFirst() }
      var ranges: [ClosedRange<UInt32>] = []
      var isFirst = true
      while var low = body.popFirst() {
        // A bracket that comes first is a member.
        if low == "]", !isFirst {
          rest = body
          return .set(ranges, negated: isNegated)
        }
        isFirst = false
        if low == "\\" {
          guard let escaped = body.popFirst() else { return nil }
          low = escaped
        }
        var high = low
        if body.first == "-", let end = body.dropFirst().first, end != "]" {
          high = end
          body = body.dropFirst(2)
          if end == "\\", let escaped = body.popFirst() { high = escaped }
        }
        // A range that runs backwards has no members.
        if low <= high { ranges.append(low.value...high.value) }
      }
      return nil
    }

    /// Whether a name matches.
    func matches(_ name: String) -> Bool {
      guard isComplete else { return false }
      let scalars = Array(name.unicodeScalars)
      var (element, scalar) = (0, 0)
      // Where the last run was met: on a mismatch it takes one character more.
      var retry: (element: Int, scalar: Int)?
      while scalar < scalars.count {
        if element < elements.count {
          if case .run = elements[element] {
            retry = (element, scalar)
            element += 1
            continue
          }
          if Self.accepts(elements[element], scalars[scalar]) {
            element += 1
            scalar += 1
            continue
          }
        }
        guard let last = retry else { return false }
        retry = (last.element, last.scalar + 1)
        (element, scalar) = (last.element + 1, last.scalar + 1)
      }
      return elements[element...].allSatisfy { if case .run = $0 { true } else { false } }
    }

    private static func accepts(_ element: Element, _ scalar: UnicodeScalar) -> Bool {
      switch element {
      case .literal(let wanted): scalar == wanted
      case .any, .run: true
      case .set(let ranges, let isNegated):
        ranges.contains { $0.contains(scalar.value) } != isNegated
      }
    }

    /// The paths in a directory that match; a mere name is looked up, not listed.
    fileprivate func matches(in directory: FilePath) throws(LocateError) -> [FilePath] {
      if !isSpecial {
        let path = directory.appending(text)
        return try OpenFile.exists(path) ? [path] : []
      }
      let place = directory.isEmpty ? FilePath(".") : directory
      let limit = maximumCheckpointFiles
      let names = try Listing.names(in: place, limit: limit) { matches($0) }
      return names.map { directory.appending($0) }
    }
  }
}
