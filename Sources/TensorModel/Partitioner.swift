/// Cuts a variable into partitions along one axis, as TensorFlow's partitioners do.
///
/// A negative axis counts from the last, as in Python. The cases spell TensorFlow's arguments:
/// sizes are bytes, and each element of a string tensor counts as `bytesPerStringElement`.
public enum Partitioner: Sendable, Hashable {
  /// Cuts each axis into a number of parts; at most one of the numbers may be more than 1.
  case counts([Int])
  /// TensorFlow's `fixed_size_partitioner`: cuts an axis into `shards` parts.
  case fixedSize(shards: Int, axis: Int = 0)
  /// TensorFlow's `variable_axis_size_partitioner`: cuts an axis into parts of at most
  /// `maximumShardByteCount` bytes, and into at most `maximumShards`, unless that is nil or 0.
  case variableAxisSize(
    maximumShardByteCount: Int, axis: Int = 0, bytesPerStringElement: Int = 16,
    maximumShards: Int? = nil)
  /// TensorFlow's `min_max_variable_partitioner`: cuts an axis into at most `maximumPartitions`
  /// parts, each of at least `minimumSliceByteCount` bytes.
  case minMaxVariable(
    maximumPartitions: Int = 1, axis: Int = 0, minimumSliceByteCount: Int = 256 << 10,
    bytesPerStringElement: Int = 16)

  /// The most partitions of one variable: more than a request has room for.
  package static let maximumPartitionCount = 1 << 18

  /// Cuts a variable, as the client's `partitions(of:dtype:shape:)` says.
  package func cut(
    _ name: Name, _ dtype: DataType, _ shape: Shape
  ) throws(Problem) -> [Variable] {
    let counts: [Int]
    let cut: (axis: Int, parts: Int)
    do throws(Fault) {
      counts = try self.counts(dtype, shape)
      cut = try Self.cut(shape, into: counts)
    } catch {
      throw Problem(
        .invalidRequest,
        "variable \(name.inMessage) of shape \(shape.inMessage) cannot be partitioned: "
          + error.message, variable: name)
    }
    let length = shape.lengths[shape.lengths.startIndex + cut.axis]
    var lengths = Array(shape.lengths)
    var offset = Array(repeating: 0, count: shape.rank)
    return (0..<cut.parts).map { number in
      lengths[cut.axis] = length / cut.parts + (number < length % cut.parts ? 1 : 0)
      defer { offset[cut.axis] += lengths[cut.axis] }
      let partition = Partition(of: name, fullShape: shape, offset: offset)
      return Variable(name.part(number), dtype: dtype, shape: Shape(lengths), partition: partition)
    }
  }

  private struct Fault: Error {
    var message: String
  }

  /// The number of parts of each axis that the partitioner asks for.
  private func counts(_ dtype: DataType, _ shape: Shape) throws(Fault) -> [Int] {
    guard shape.rank > 0 else { throw Fault(message: "it is a scalar, expected at least one axis") }
    guard shape.lengths.allSatisfy({ $0 >= 0 }), let elementCount = shape.elementCount else {
      throw Fault(message: "its shape must be fully defined, and its elements countable")
    }
    switch self {
    case .counts(let counts): return counts
    case .fixedSize(let shards, let axis):
      let (axis, length) = try Self.axis(axis, of: shape)
      return Self.counts(min(shards, length), axis, of: shape)
    case .variableAxisSize(let maximum, let axis, let stringByteCount, let maximumShards):
      guard maximum > 0, stringByteCount > 0 else {
        throw Fault(
          message:
            "at most \(maximum) bytes a shard and \(stringByteCount) bytes a string, expected "
            + "positive numbers")
      }
      guard maximumShards ?? 0 >= 0 else {
        throw Fault(message: "at most \(maximumShards ?? 0) shards, expected a positive number")
      }
      let (axis, length) = try Self.axis(axis, of: shape)
      guard elementCount > 0 else { throw Fault(message: "it has no elements to size shards by") }
      let width = try Self.width(of: dtype, stringByteCount)
      // Floating point, as in TensorFlow, where rounding decides the last row of a shard.
      let rowByteCount = Double(elementCount / length) * Double(width)
      let fitting = Double(maximum) / rowByteCount
      let rows = fitting < Double(length) ? max(1, Int(fitting)) : length
      let shards = length / rows + (length % rows > 0 ? 1 : 0)
      let most = maximumShards ?? 0
      return Self.counts(most == 0 ? shards : min(most, shards), axis, of: shape)
    case .minMaxVariable(let maximum, let axis, let minimum, let stringByteCount):
      let (axis, length) = try Self.axis(axis, of: shape)
      guard minimum != 0 else {
        throw Fault(message: "at least 0 bytes a slice, expected a positive number")
      }
      let width = try Self.width(of: dtype, stringByteCount)
      let parts = max(0, Double(elementCount) * Double(width) / Double(minimum))
      let most = min(length, maximum)
      // The next whole number, without the C library's `ceil`.
      let wanted = parts < Double(most) ? Int(parts) + (Double(Int(parts)) < parts ? 1 : 0) : most
      return Self.counts(max(1, wanted), axis, of: shape)
    }
  }

  private static func axis(
    _ axis: Int, of shape: Shape
  ) throws(Fault) -> (axis: Int, length: Int) {
    guard axis < shape.rank, axis >= -shape.rank else {
      throw Fault(message: "it has no axis \(axis), expected \(-shape.rank) to \(shape.rank - 1)")
    }
    let axis = axis < 0 ? axis + shape.rank : axis
    return (axis, shape.lengths[shape.lengths.startIndex + axis])
  }

  private static func width(of dtype: DataType, _ stringByteCount: Int) throws(Fault) -> Int {
    if dtype == .string { return stringByteCount }
    guard let width = dtype.byteCount else {
      throw Fault(message: "elements of dtype \(dtype.name) have no size")
    }
    return width
  }

  private static func counts(_ parts: Int, _ axis: Int, of shape: Shape) -> [Int] {
    var counts = Array(repeating: 1, count: shape.rank)
    counts[axis] = parts
    return counts
  }

  /// The one axis that is cut, and into how many parts.
  private static func cut(
    _ shape: Shape, into counts: [Int]
  ) throws(Fault) -> (axis: Int, parts: Int) {
    guard counts.count == shape.rank else {
      throw Fault(
        message: "counts of parts \(Shape(counts).inMessage), expected one for each of its "
          + "\(shape.rank) axes")
    }
    guard counts.allSatisfy({ $0 > 0 }) else {
      throw Fault(
        message: "counts of parts \(Shape(counts).inMessage), expected at least 1 for each axis")
    }
    let axes = counts.indices.filter { counts[$0] > 1 }
    guard axes.count <= 1 else {
      throw Fault(
        message: "counts of parts \(Shape(counts).inMessage), expected only one axis to be cut")
    }
    guard let axis = axes.first else { return (0, 1) }
    let length = shape.lengths[shape.lengths.startIndex + axis]
    guard counts[axis] <= length else {
      throw Fault(
        message: "\(counts[axis]) parts of axis \(axis), expected at most its length of \(length)")
    }
    guard counts[axis] <= maximumPartitionCount else {
      throw Fault(message: "\(counts[axis]) parts, expected at most \(maximumPartitionCount)")
    }
    return (axis, counts[axis])
  }
}
