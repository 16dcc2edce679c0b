/// A call whose cost is measured, beside a *floor*: the least work of the same kind, in C.
struct Operation {
  /// Does the call once; returns nanoseconds, or a negative error.
  typealias Body = () throws -> Int64

  /// What the operation is compared with.
  struct Floor {
    let name: String
    let prepare: (Bench) throws -> Body
  }

  let name: String
  /// The number of calls in a block, and the number of blocks.
  var calls = 100
  var blocks = 20
  /// How many requests are counted, or 0 for an operation whose counts say nothing.
  var counted = 0
  /// How many requests have their instructions counted, which is slow, or 0.
  var instructed = 0
  /// The bytes that a call handles, for operations whose rate is of interest.
  var byteCount: Int?
  var floor: Floor?
  /// Prepares everything that is not measured, and returns what is.
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

/// A measurement with a daemon of its own, which prints its own lines.
struct Study {
  let name: String
  let run: () throws -> Void

  /// All studies, in the order in which they are run.
  static var all: [Study] { Scale.studies + [arenas] + warmUps + [hostile] }

  /// The studies of a comma-separated list, or all.
  static func wanted(_ names: String?) -> [Study] {
    guard let names = names?.split(separator: ",") else { return all }
    return all.filter { names.contains($0.name[...]) }
  }
}
