import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel

/// The tensors that a map was resolved to, made when they are asked for: there may be 100,000.
public struct Tensors: Sendable, RandomAccessCollection {
  private final class Storage: Sendable {
    let handles: Handles
    let variables: [Variable]
    let regions: [Region]
    /// The positions of variables' names, once somebody has sought one.
    let positions = Monitor<[Name: Int]?>(nil)

    init(_ handles: Handles, _ variables: [Variable], _ regions: [Region]) {
      self.handles = handles
      self.variables = variables
      self.regions = regions
    }
  }

  private let storage: Storage

  /// Takes over handles that were checked.
  init(_ handles: Handles, _ variables: [Variable], _ regions: [Region]) {
    storage = Storage(handles, variables, regions)
  }

  /// The first position.
  public var startIndex: Int { 0 }

  /// The number of tensors.
  public var endIndex: Int { storage.handles.count }

  /// The tensor of the variable at a position among those that got bytes.
  public subscript(position: Int) -> Tensor {
    var handle = storage.handles[position]
    let variable = storage.variables[handle.variable]
    if handle.tensor.bytes.isEmpty { handle.tensor = variable.name }
    return Tensor(handle, variable, storage.regions[handle.region])
  }

  /// Finds the tensor of a variable.
  subscript(variable: Name) -> Tensor? {
    let position = storage.positions.withLock { positions in
      if let known = positions { return known[variable] }
      var made: [Name: Int] = [:]
      made.reserveCapacity(count)
      for position in indices {
        made[storage.variables[storage.handles.variable(position)].name] = position
      }
      positions = made
      return made[variable]
    }
    return position.map { self[$0] }
  }
}
