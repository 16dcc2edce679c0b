/// The slices that initializers would read: the half of a resolution that TensorFlow does when they
/// run.
///
/// Checks the stored slices of each tensor once, even if many partitions read it.
struct Reads {
  /// Why a variable cannot be read.
  enum Refusal: Error {
    /// The tensor is only listed; the words are its file and a predicate.
    case listed(String)
    case dtype(stored: DataType)
    case shape(stored: Shape)
    case fullShape(stored: Shape)
    case emptySlice(TensorSlice)
    case sliceOutside(TensorSlice)
    case incomplete(TensorSlice)
    case stored(StoredSlices.Fault, Shape)
    case exhausted(Problem)
    case notGathered(DataType)
    case notTransposed(DataType)
    case chosen(Gather.Fault)
  }

  private enum Stored {
    case sound(StoredSlices)
    case unsound(StoredSlices.Fault)
  }

  private let variables: VariableList
  private let catalog: Catalog
  /// Whether numbers are cast to the variable's type.
  private let areCast: Bool
  private var stored: [Int: Stored] = [:]

  init(of variables: VariableList, in catalog: Catalog, areCast: Bool) {
    self.variables = variables
    self.catalog = catalog
    self.areCast = areCast
  }

  /// Checks a match in TensorFlow's order; returns the slice to read, or nil for the whole tensor.
  mutating func slice(
    of variable: Int, _ match: Matches.Match, _ allowance: inout Allowance
  ) throws(Refusal) -> TensorSlice? {
    let tensor = Int(match.tensor)
    if let words = catalog.refusal(tensor) { throw .listed(words) }
    let dtype = catalog.dtype(tensor)
    guard variables.takes(dtype, variable, areCast: areCast) else { throw .dtype(stored: dtype) }
    if !variables.gathers.isEmpty, let gather = variables.gathers[variable] {
      try check(gather, of: variable, tensor, &allowance)
      return nil
    }
    if !variables.view(variable, of: dtype).axes.isEmpty, dtype.byteCount == nil {
      throw .notTransposed(dtype)
    }
    let slice = try slice(of: variable, match)
    let slices = catalog.slices(tensor)
    if !slices.isEmpty {
      try checkCover(
        of: slice ?? TensorSlice(whole: catalog.shape(tensor)), tensor, slices, &allowance)
    }
    return slice
  }

  /// Why the shape of a match's tensor is not the variable's; nil if it is.
  func mismatch(of variable: Int, _ match: Matches.Match) -> Refusal? {
    do throws(Refusal) {
      _ = try slice(of: variable, match)
      return nil
    } catch {
      return error.otherShape == nil ? nil : error
    }
  }

  /// Compares shapes; returns the slice to read, or nil for the whole tensor.
  private func slice(of variable: Int, _ match: Matches.Match) throws(Refusal) -> TensorSlice? {
    let tensor = Int(match.tensor)
    guard match.isPartition else {
      guard variables.accepts(catalog.shapes.span(tensor), variable) else {
        throw .shape(stored: catalog.shape(tensor))
      }
      return nil
    }
    guard let partition = variables.partition(variable), let part = variables.shape(variable) else {
      return nil
    }
    let view = variables.view(variable, of: catalog.dtype(tensor))
    let stored = catalog.shape(tensor)
    guard view.axes.isEmpty || view.axes.count == stored.rank else {
      throw .fullShape(stored: stored)
    }
    let shape = view.axes.isEmpty ? stored : Shape(view.variableOrder(Array(stored.lengths)))
    return try Self.slice(part, of: partition, in: shape, stored: stored)
      .map { view.tensorOrder($0) }
  }

  /// Checks the rows or columns that a variable chooses from a tensor.
  private mutating func check(
    _ gather: Gather, of variable: Int, _ tensor: Int, _ allowance: inout Allowance
  ) throws(Refusal) {
    let dtype = catalog.dtype(tensor)
    guard dtype.byteCount != nil else { throw .notGathered(dtype) }
    guard variables.accepts(catalog.shapes.span(tensor), variable) else {
      throw .shape(stored: catalog.shape(tensor))
    }
    do { try gather.check(against: catalog.shapes.span(tensor)) } catch { throw .chosen(error) }
    let slices = catalog.slices(tensor)
    guard !slices.isEmpty, let box = gather.box(of: catalog.shapes.span(tensor)) else { return }
    try checkCover(of: box, tensor, slices, &allowance)
  }

  private static func slice(
    _ part: Shape, of partition: Partition, in shape: Shape, stored: Shape
  ) throws(Refusal) -> TensorSlice? {
    let slice = TensorSlice(starts: partition.offset, counts: Array(part.lengths))
    // TensorFlow's slice specification has no empty slices.
    guard slice.starts.allSatisfy({ $0 >= 0 }), slice.counts.allSatisfy({ $0 > 0 }) else {
      throw .emptySlice(slice)
    }
    guard slice.fits(partition.fullShape) else { throw .sliceOutside(slice) }
    guard partition.fullShape == shape else { throw .fullShape(stored: stored) }
    return part == shape ? nil : slice
  }

  private mutating func checkCover(
    of box: TensorSlice, _ tensor: Int, _ slices: [TensorSlice], _ allowance: inout Allowance
  ) throws(Refusal) {
    let stored = stored[tensor] ?? check(slices, of: catalog.shape(tensor), &allowance)
    self.stored[tensor] = stored
    switch stored {
    case .unsound(.exhausted(let problem)): throw .exhausted(problem)
    case .unsound(let fault): throw .stored(fault, catalog.shape(tensor))
    case .sound(let slices):
      let isCovered: Bool
      do throws(Problem) {
        isCovered = try slices.cover(box, &allowance)
      } catch {
        throw .exhausted(error)
      }
      guard isCovered else { throw .incomplete(box) }
    }
  }

  private func check(
    _ slices: [TensorSlice], of shape: Shape, _ allowance: inout Allowance
  ) -> Stored {
    do throws(StoredSlices.Fault) {
      return .sound(try StoredSlices(slices, of: shape, &allowance))
    } catch {
      return .unsound(error)
    }
  }
}

extension Reads.Refusal {
  /// The problem to report for a variable and a tensor.
  func problem(
    _ variable: Variable, _ choice: String, _ tensor: Name, _ hint: String, key: Name
  ) -> Problem {
    if case .shape(let stored) = self {
      return .shapeMismatch(variable, tensor, stored, choice, hint, key: key)
    }
    if case .exhausted(let problem) = self { return problem }
    return Problem(
      reason,
      "variable \(variable.name.inMessage), tensor \(tensor.inMessage): \(fault(variable, choice))\(hint)",
      key: key, variable: variable.name, tensor: tensor)
  }

  /// The end of the message about a variable and a tensor of a type; an option is named only once.
  func hint(
    _ variables: VariableList, _ variable: Int, _ dtype: DataType, _ options: Resolution.Options,
    _ problems: inout ProblemCollector
  ) -> String {
    if case .dtype(let stored) = self {
      return problems.once(options.hint(casting: stored, to: variables.dtype(variable)))
    }
    guard let otherShape else { return "" }
    var isPart = false
    if case .fullShape = self { isPart = true }
    return variables.shapeHint(variable, otherShape, dtype, isPart: isPart)
      ?? problems.once(options.mismatchHint)
  }

  /// The stored shape, if the refusal is that the variable has another.
  var otherShape: Shape? {
    switch self {
    case .shape(let stored), .fullShape(let stored): stored
    default: nil
    }
  }

  private var reason: Reason {
    switch self {
    case .dtype: .dtypeMismatch
    case .shape, .fullShape, .emptySlice, .sliceOutside: .shapeMismatch
    case .incomplete: .slicesIncomplete
    case .stored(let fault, _): fault.reason
    case .exhausted(let problem): problem.reason
    case .listed, .notGathered, .notTransposed: .unsupported
    case .chosen: .invalidRequest
    }
  }

  private func fault(_ variable: Variable, _ choice: String) -> String {
    let fullShape = variable.partition?.fullShape.inMessage ?? "?"
    switch self {
    case .listed(let words): return "the tensor \(words)"
    case .dtype(let stored):
      return "expected dtype \(variable.dtype.name) does not equal original dtype \(stored.name)"
    case .shape(let stored), .fullShape(let stored):
      return "full shape \(fullShape) of the partition does not match the shape stored in the "
        + "checkpoint: \(stored.inMessage)\(choice)"
    case .emptySlice(let slice):
      return "expected non-negative starts and positive lengths but got slice \(slice.inMessage)"
    case .sliceOutside(let slice):
      return "slice \(slice.inMessage) is out of bounds of full shape \(fullShape)"
    case .incomplete(let box):
      return "the checkpoint does not have sufficient slices for partitioned tensor to restore "
        + "in slice \(box.inMessage)"
    case .stored(let fault, let shape): return fault.message(shape)
    case .exhausted(let problem): return problem.message
    case .notGathered(let dtype):
      return "rows and columns of dtype \(dtype.name) cannot be chosen"
    case .notTransposed(let dtype): return "axes of dtype \(dtype.name) cannot be transposed"
    case .chosen(.axis(let axis)): return "indices on axis \(axis), which the tensor lacks"
    case .chosen(.index(let index, let axis, let length)):
      return "index \(index) on axis \(axis) is out of range: the tensor's length is \(length)"
    }
  }
}
