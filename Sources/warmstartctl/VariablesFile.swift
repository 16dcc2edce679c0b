import TensorModel

/// The file that declares a trainer's variables: `{"variables": [{"name", "dtype", "shape", …}]}`.
///
/// An axis of unknown length is -1 or null, a shape of unknown rank is null. `partitions` cuts the
/// variable along one axis; `slice` declares a partition that was cut by somebody else.
enum VariablesFile {
  /// Reads the variables, partitions one by one.
  static func read(_ path: String) throws(Failure) -> [Variable] {
    let file = try JSONEntry(readingFrom: path).object(required: ["variables"])
    var variables: [Variable] = []
    for entry in try file["variables"]?.list() ?? [] { variables += try self.variables(entry) }
    return variables
  }

  private static func variables(_ entry: JSONEntry) throws(Failure) -> [Variable] {
    let fields = try entry.object(
      required: ["name", "dtype", "shape"], optional: ["partitions", "slice", "store"])
    guard let name = try fields["name"]?.name(), let dtype = try fields["dtype"].map(dtype),
      let declared = fields["shape"]
    else { return [] }
    guard !name.bytes.isEmpty else {
      throw entry.fault("expected a name for the variable, not an empty one")
    }
    let shape = try shape(declared)
    let isInStore = try fields["store"]?.flag() ?? true
    guard let cut = fields["partitions"] else {
      let partition = try fields["slice"].map(partition)
      return [Variable(name, dtype, shape, partition: partition, isInStore: isInStore)]
    }
    guard fields["slice"] == nil else {
      throw entry.fault("expected partitions or slice, not both")
    }
    guard let shape else { throw declared.fault("expected a shape that can be cut") }
    let counts = try cut.wholeNumbers()
    do throws(Problem) {
      return try Partitioner.counts(counts).partitions(of: name, dtype, shape).map { part in
        Variable(
          part.name, part.dtype, part.shape, partition: part.partition, isInStore: isInStore)
      }
    } catch {
      throw cut.fault(error.message)
    }
  }

  private static func dtype(_ entry: JSONEntry) throws(Failure) -> DataType {
    guard let text = entry.text else { throw entry.fault("expected a string") }
    guard let dtype = DataType(name: text) else {
      throw entry.fault("expected a name of TensorFlow's such as float32, not \"\(text)\"")
    }
    return dtype
  }

  private static func shape(_ entry: JSONEntry) throws(Failure) -> Shape? {
    if entry.isNull { return nil }
    return Shape(
      try entry.list().map { length throws(Failure) in
        if length.isNull { return Shape.unknownLength }
        let number = try length.wholeNumber()
        guard number >= 0 || number == Shape.unknownLength else {
          throw length.fault("expected a length, or -1 or null for an unknown one, not \(number)")
        }
        return number
      })
  }

  /// Where a partition lies in its variable.
  private static func partition(_ entry: JSONEntry) throws(Failure) -> Partition {
    let fields = try entry.object(required: ["full_name", "full_shape", "offset"])
    return Partition(
      of: try fields["full_name"]?.name() ?? "",
      fullShape: Shape(try fields["full_shape"]?.wholeNumbers() ?? []),
      offset: try fields["offset"]?.wholeNumbers() ?? [])
  }
}
