/// A variable of a trainer, or one partition of a partitioned variable, as the trainer declares it.
public struct Variable: Sendable, Hashable {
  /// The name without `:0`; partitions of one variable are named `<variable>/part_<n>`.
  public var name: Name
  /// The element type, which must be the tensor's unless numbers are cast.
  public var dtype: DataType
  /// The shape, with `Shape.unknownLength` for unknown axes; nil if even the rank is unknown.
  public var shape: Shape?
  /// Where this partition lies in its variable; nil for a variable that is not partitioned.
  public var partition: Partition?
  /// Whether the variable is in the variable store (`get_variable`), where names can find it.
  public var isInStore: Bool

  /// Declares a variable.
  ///
  /// - Parameters:
  ///   - name: The name without `:0`.
  ///   - dtype: The element type, which must be the tensor's unless numbers are cast.
  ///   - shape: The shape; nil if even the rank is unknown.
  ///   - partition: Where this partition lies in its variable; nil for a variable that is not
  ///     partitioned.
  ///   - isInStore: Whether `get_variable` would find the variable, so that names and scopes of a
  ///     map do.
  public init(
    _ name: Name, dtype: DataType, shape: Shape?, partition: Partition? = nil,
    isInStore: Bool = true
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.partition = partition
    self.isInStore = isInStore
  }
}

/// Where a partition lies in its variable: TensorFlow's `SaveSliceInfo` without the partition's
/// shape.
public struct Partition: Sendable, Hashable {
  /// The name of the partitioned variable.
  public var fullName: Name
  /// The shape of the partitioned variable.
  public var fullShape: Shape
  /// The partition's first index on each axis of `fullShape`.
  public var offset: [Int]

  /// Declares the place of a partition.
  ///
  /// - Parameters:
  ///   - fullName: The name of the partitioned variable.
  ///   - fullShape: The shape of the partitioned variable.
  ///   - offset: The partition's first index on each axis of `fullShape`.
  public init(of fullName: Name, fullShape: Shape, offset: [Int]) {
    self.fullName = fullName
    self.fullShape = fullShape
    self.offset = offset
  }
}
