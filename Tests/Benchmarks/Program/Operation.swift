/// Something whose cost is measured, beside what C pays for the least of the same.
struct Operation {
  /// What to call to do something once; returns nanoseconds, or a negative error.
  typealias Body = () throws -> Int64

  /// What C does beside it.
  struct Floor {
    let name: String
    let prepare: (Bench) throws -> Body
  }

  let name: String
  /// How many times a block does it, and how many blocks there are.
  var calls = 100
  var blocks = 20
  /// How many requests are counted, or 0 for an operation whose counts say nothing.
  var counted = 0
  /// How many requests have their instructions counted, which is slow, or 0.
  var instructed = 0
  /// How many bytes it handles, if a rate says more than a time.
  var byteCount: Int?
  var floor: Floor?
  /// Sets everything up that is not to be measured.
  let prepare: (Bench) throws -> Body

  /// All operations, in the order in which they are run.
  static var all: [Operation] {
    [
      resolveOne,
      connect300,
      look300,
      openCold,
      list,
      activation,
      activationResolve,
      copy,
      checksum,
    ]
  }

  /// The operations of a comma-separated list, or all.
  static func wanted(_ names: String?) -> [Operation] {
    guard let names = names?.split(separator: ",") else { return all }
    return all.filter { names.contains($0.name[...]) }
  }
}

/// What is measured with a daemon of its own and says in its own lines what came out.
struct Study {
  let name: String
  let run: () throws -> Void

  /// All studies, in the order in which they are run.
  static var all: [Study] { Scale.studies + [hostile] }

  /// The studies of a comma-separated list, or all.
  static func wanted(_ names: String?) -> [Study] {
    guard let names = names?.split(separator: ",") else { return all }
    return all.filter { names.contains($0.name[...]) }
  }
}
