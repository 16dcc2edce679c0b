import WarmstartTensorModel

/// A file with an assignment map: a list of pairs, or an object.
///
/// A target is `"name"`, `"scope/"`, `{"variable": name}` or `{"variables": [name, …]}`. Keys keep
/// their order, and may occur more than once in a list.
enum MapFile {
  /// Reads a map; throws all problems of the file.
  static func read(_ path: String) throws(Failure) -> AssignmentMap {
    let file = try JSONFile(readingFrom: path)
    var pairs: [AssignmentMap.Pair?] = []
    if let fields = file.root.fields {
      var keys: Set<Name> = []
      for (key, entry) in fields {
        if !keys.insert(Name(key)).inserted {
          entry.noteKey("the key occurs twice, which only a list of pairs allows")
        }
        pairs.append(target(entry).map { AssignmentMap.Pair(Name(key), $0) })
      }
    } else if let elements = file.root.elements {
      pairs = elements.map(pair)
    } else {
      file.root.note("expected a list of pairs [key, target], or an object")
    }
    try file.expectNoNotes()
    return AssignmentMap(pairs.compactMap { $0 })
  }

  private static func pair(_ entry: JSONEntry) -> AssignmentMap.Pair? {
    guard let pair = entry.elements, pair.count == 2 else {
      entry.note("expected a pair [key, target]")
      return nil
    }
    let (key, target) = (pair[0].name(), target(pair[1]))
    guard let key, let target else { return nil }
    return AssignmentMap.Pair(key, target)
  }

  private static func target(_ entry: JSONEntry) -> AssignmentMap.Target? {
    if let name = entry.text { return .name(Name(name)) }
    guard let count = entry.fields?.count, count == 1,
      let field = entry.object(required: [], optional: ["variable", "variables"])?.first
    else {
      if entry.fields?.count != 1 {
        entry.note("expected a name, a scope, {\"variable\": name} or {\"variables\": [name, …]}")
      }
      return nil
    }
    if field.key == "variable" { return field.value.name().map { .variable($0) } }
    guard let entries = field.value.list() else { return nil }
    let names = entries.compactMap { $0.name() }
    return names.count == entries.count ? .variables(names) : nil
  }
}
