import TensorModel

/// The file of an assignment map: a list of pairs, or an object.
///
/// A target is `"name"`, `"scope/"`, `{"variable": name}` or `{"variables": [name, …]}`. Keys keep
/// their order, and may occur more than once in a list.
enum MapFile {
  /// Reads a map.
  static func read(_ path: String) throws(Failure) -> AssignmentMap {
    let file = try JSONEntry(readingFrom: path)
    if let fields = file.fields {
      var keys: Set<Name> = []
      return AssignmentMap(
        try fields.map { key, entry throws(Failure) in
          guard keys.insert(Name(key)).inserted else {
            throw file.fault("has the key \"\(key)\" twice; a list of pairs may")
          }
          return AssignmentMap.Pair(Name(key), try target(entry))
        })
    }
    guard let elements = file.elements else {
      throw file.fault("expected a list of pairs [key, target], or an object")
    }
    return AssignmentMap(try elements.map(pair))
  }

  private static func pair(_ entry: JSONEntry) throws(Failure) -> AssignmentMap.Pair {
    guard let pair = entry.elements, pair.count == 2 else {
      throw entry.fault("expected a pair [key, target]")
    }
    return AssignmentMap.Pair(try pair[0].name(), try target(pair[1]))
  }

  private static func target(_ entry: JSONEntry) throws(Failure) -> AssignmentMap.Target {
    if let name = entry.text { return .name(Name(name)) }
    guard let fields = entry.fields, fields.count == 1 else { throw fault(entry) }
    switch fields[0].key {
    case "variable": return .variable(try fields[0].entry.name())
    case "variables":
      return .variables(try fields[0].entry.list().map { name throws(Failure) in try name.name() })
    default: throw fault(entry)
    }
  }

  private static func fault(_ entry: JSONEntry) -> Failure {
    entry.fault("expected a name, a scope, {\"variable\": name} or {\"variables\": [name, …]}")
  }
}
