package import WarmstartMessages
package import WarmstartTensorModel

/// All that a handle says, as a value that tests compare.
package struct Handle: Sendable, Hashable {
  package var variable: Int
  /// Empty if it has the variable's name.
  package var tensor: Name
  package var dtype: DataType
  package var shape: Shape
  /// None for a dense array.
  package var strides: [Int]
  package var region: Int
  package var offset: Int
  package var byteCount: Int
  /// Where it was cut out of the tensor; nil for all of it.
  package var starts: [Int]?

  package init(
    variable: Int, tensor: Name, dtype: DataType, shape: Shape, strides: [Int] = [],
    region: Int, offset: Int, byteCount: Int, starts: [Int]? = nil
  ) {
    self.variable = variable
    self.tensor = tensor
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.region = region
    self.offset = offset
    self.byteCount = byteCount
    self.starts = starts
  }
}

extension Handles {
  /// A handle, with all of its properties read.
  package subscript(position: Int) -> Handle {
    let place = place(position)
    return Handle(
      variable: variable(position), tensor: tensor(position), dtype: place.dtype,
      shape: shape(position), strides: strides(position), region: place.region,
      offset: place.offset, byteCount: place.byteCount, starts: starts(position))
  }
}
