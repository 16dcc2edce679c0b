public import WarmstartTensorModel

extension Partitioner {
  /// Declares the partitions of a variable: `<name>/part_0` and so on, even if one part is all of
  /// it.
  ///
  /// The first partitions take what does not divide evenly.
  ///
  /// - Parameters:
  ///   - name: The name of the whole variable.
  ///   - dtype: The element type.
  ///   - shape: The shape of the whole variable, in which every length is known.
  /// - Returns: The partitions in their order, each to be passed as a variable of its own.
  /// - Throws: `WarmstartError` with the reason `invalidRequest` where TensorFlow would not create
  ///   the variable: for an axis that the shape lacks, or more parts than the axis is long.
  public func partitions(
    of name: Name, dtype: DataType, shape: Shape
  ) throws(WarmstartError) -> [Variable] {
    do throws(Problem) {
      return try cut(name, dtype, shape)
    } catch {
      throw WarmstartError(error)
    }
  }
}
