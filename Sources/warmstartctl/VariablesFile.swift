import WarmstartTensorModel

/// The file that declares a trainer's variables: `{"variables": [{"name", "dtype", "shape", …}]}`.
///
/// An axis of unknown length is -1 or null, and a shape of unknown rank is null. `partitions` cuts
/// the variable along one axis; `slice` declares one partition that was cut elsewhere.
struct VariablesFile {
  private let file: JSONFile
  private var variables: [Variable] = []
  /// The offset at which each name is declared first.
  private var offsets: [Name: Int] = [:]

  /// Reads the variables, each partition as one; throws all problems of the file.
  static func read(_ path: String) throws(Failure) -> [Variable] {
    var reader = VariablesFile(file: try JSONFile(readingFrom: path))
    let fields = reader.file.root.object(required: ["variables"])
    for entry in fields?["variables"]?.list() ?? [] {
      reader.take(entry.named("variable", by: "name"))
    }
    try reader.file.expectNoNotes()
    return reader.variables
  }

  private init(file: JSONFile) {
    self.file = file
  }

  /// Adds the variables of one declaration, which may have several partitions.
  private mutating func take(_ entry: JSONEntry) {
    let parts = VariablesFile.variables(entry)
    variables += parts
    // Also if the declaration has another problem.
    let names = parts.isEmpty ? [entry.text(at: "name").map { Name($0) } ?? ""] : parts.map(\.name)
    for name in names where !name.bytes.isEmpty {
      if let first = offsets[name] {
        let which = parts.count > 1 ? "partition \(name) is " : ""
        return entry.note("\(which)declared twice, first at \(file.place(of: first))")
      }
      offsets[name] = entry.offset
    }
  }

  /// Returns the variables of a declaration; none if it has a problem.
  private static func variables(_ entry: JSONEntry) -> [Variable] {
    guard
      let fields = entry.object(
        required: ["name", "dtype", "shape"], optional: ["partitions", "slice", "store"])
    else { return [] }
    // Every field is read first, so that the problems of all are noted.
    let name = fields["name"]?.name()
    if name?.bytes.isEmpty == true { entry.note("expected a name, not an empty one") }
    let dtype = fields["dtype"].flatMap(dtype)
    let shape = fields["shape"].flatMap(shape)
    let isInStore = fields["store"].map { $0.flag() } ?? true
    let counts = fields["partitions"].map { $0.wholeNumbers() }
    let partition = fields["slice"].map(partition)
    guard counts == nil || partition == nil else {
      entry.note("expected partitions or slice, not both")
      return []
    }
    guard let name, let dtype, let shape, let isInStore else { return [] }
    guard let cut = fields["partitions"] else {
      if let partition, partition == nil { return [] }
      return [
        Variable(
          name, dtype: dtype, shape: shape.known, partition: partition ?? nil, isInStore: isInStore)
      ]
    }
    guard let counts = counts ?? nil else { return [] }
    guard let known = shape.known else {
      fields["shape"]?.note("expected a shape that can be cut")
      return []
    }
    do throws(Problem) {
      return try Partitioner.counts(counts).cut(name, dtype, known).map {
        part in
        Variable(
          part.name, dtype: part.dtype, shape: part.shape, partition: part.partition,
          isInStore: isInStore)
      }
    } catch {
      cut.note(error.message)
      return []
    }
  }

  private static func dtype(_ entry: JSONEntry) -> DataType? {
    guard let text = entry.text else {
      entry.note("expected a string")
      return nil
    }
    let dtype = DataType(name: text)
    if dtype == nil { entry.note(DTypeName(text).fault) }
    return dtype
  }

  /// A shape; nil if its rank is unknown.
  private struct DeclaredShape {
    let known: Shape?
  }

  private static func shape(_ entry: JSONEntry) -> DeclaredShape? {
    if entry.isNull { return DeclaredShape(known: nil) }
    guard let entries = entry.list() else { return nil }
    let lengths = entries.compactMap(length)
    return lengths.count == entries.count ? DeclaredShape(known: Shape(lengths)) : nil
  }

  private static func length(_ entry: JSONEntry) -> Int? {
    if entry.isNull { return Shape.unknownLength }
    guard let number = entry.wholeNumber() else { return nil }
    guard number >= 0 || number == Shape.unknownLength else {
      entry.note("expected a length, or -1 or null for an unknown one, not \(number)")
      return nil
    }
    return number
  }

  /// Reads where a partition lies in its variable.
  private static func partition(_ entry: JSONEntry) -> Partition? {
    guard let fields = entry.object(required: ["full_name", "full_shape", "offset"]) else {
      return nil
    }
    let name = fields["full_name"]?.name()
    let shape = fields["full_shape"]?.wholeNumbers()
    let offset = fields["offset"]?.wholeNumbers()
    guard let name, let shape, let offset else { return nil }
    return Partition(of: name, fullShape: Shape(shape), offset: offset)
  }
}
