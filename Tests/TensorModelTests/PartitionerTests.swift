import TensorModel
import Testing

/// Partitions as TensorFlow 2.21 cut them for the same arguments.
@Suite struct PartitionerTests {
  /// The lengths of the parts along the axis that is cut.
  private func parts(_ partitioner: Partitioner, _ shape: Shape, _ dtype: DataType = .float32)
    throws -> [Shape]
  {
    try partitioner.partitions(of: "w", dtype, shape).compactMap(\.shape)
  }

  private func refusal(
    _ partitioner: Partitioner, _ shape: Shape, _ dtype: DataType = .float32
  ) -> Problem? {
    do throws(Problem) {
      _ = try partitioner.partitions(of: "w", dtype, shape)
      return nil
    } catch {
      return error
    }
  }

  @Test func `partitions tell where they lie`() throws {
    let partitions = try Partitioner.counts([1, 3]).partitions(of: "s/w", .int8, [2, 8])
    #expect(partitions.map(\.name) == ["s/w/part_0", "s/w/part_1", "s/w/part_2"])
    #expect(partitions.map(\.shape) == [[2, 3], [2, 3], [2, 2]])
    #expect(partitions.map { $0.partition?.offset } == [[0, 0], [0, 3], [0, 6]])
    #expect(partitions.allSatisfy { $0.partition?.fullName == "s/w" && $0.isInStore })
    #expect(partitions.allSatisfy { $0.partition?.fullShape == [2, 8] && $0.dtype == .int8 })
  }

  @Test func `one part is still a partition`() throws {
    let partitions = try Partitioner.counts([1, 1]).partitions(of: "w", .int8, [5, 4])
    let whole = Partition(of: "w", fullShape: [5, 4], offset: [0, 0])
    #expect(partitions == [Variable("w/part_0", .int8, [5, 4], partition: whole)])
  }

  @Test(
    arguments: [
      (1, 0, [5, 4], [[5, 4]]), (2, 0, [5, 4], [[3, 4], [2, 4]]), (3, 0, [5], [[2], [2], [1]]),
      (7, 0, [5], [[1], [1], [1], [1], [1]]), (2, 1, [5, 4], [[5, 2], [5, 2]]),
      (2, -1, [7, 3, 2], [[7, 3, 1], [7, 3, 1]]), (2, -3, [7, 3, 2], [[4, 3, 2], [3, 3, 2]]),
      (2, 1, [0, 4], [[0, 2], [0, 2]]),
    ] as [(Int, Int, Shape, [Shape])])
  func `a fixed number of shards`(shards: Int, axis: Int, shape: Shape, expected: [Shape]) throws {
    #expect(try parts(.fixedSize(shards: shards, axis: axis), shape) == expected)
  }

  @Test(
    arguments: [
      (16, 0, .float32, [5, 4], 5), (64, 0, .float32, [5, 4], 2), (64, 0, .float32, [33, 7], 17),
      (100, 1, .float32, [5, 4], 1), (100, 1, .float32, [33, 7], 7), (100, 1, .string, [5, 4], 4),
      (16, 0, .bool, [5, 4], 2), (64, 0, .bool, [33, 7], 4), (100, 1, .bool, [33, 7], 3),
      (16, 0, .float16, [5, 4], 3), (64, 0, .float16, [33, 7], 9), (64, 0, .complex128, [5, 4], 5),
      (16, 0, .int4, [5, 4], 2), (64, 0, .float64, [5, 4], 3), (1 << 62, 0, .float32, [5, 4], 1),
      (Int.max, 0, .float32, [1000, 1000], 1), (Int.max, 0, .bool, [1], 1),
      (1, 0, .float32, [1], 1),
      (64, -1, .float32, [1000, 1000], 1000),
    ] as [(Int, Int, DataType, Shape, Int)])
  func `shards of at most so many bytes`(
    maximum: Int, axis: Int, dtype: DataType, shape: Shape, expected: Int
  ) throws {
    let partitioner = Partitioner.variableAxisSize(maximumShardByteCount: maximum, axis: axis)
    #expect(try parts(partitioner, shape, dtype).count == expected)
  }

  @Test(arguments: [(nil, 5), (0, 5), (2, 2), (100, 5)] as [(Int?, Int)])
  func `shards are limited in number`(maximum: Int?, expected: Int) throws {
    let partitioner = Partitioner.variableAxisSize(
      maximumShardByteCount: 16, maximumShards: maximum)
    #expect(try parts(partitioner, [5, 4]).count == expected)
  }

  @Test(arguments: [(3, 3), (100, 10)])
  func `strings count as told`(stringByteCount: Int, expected: Int) throws {
    let partitioner = Partitioner.variableAxisSize(
      maximumShardByteCount: 64, bytesPerStringElement: stringByteCount)
    #expect(try parts(partitioner, [10, 5], .string).count == expected)
  }

  @Test(
    arguments: [
      (1, 0, 256 << 10, [1024, 1024], 1), (4, 0, 256 << 10, [1024, 1024], 4),
      (16, 0, 256 << 10, [1024, 1024], 16), (16, 0, 256 << 10, [100, 100], 1),
      (4, 0, 16, [5, 4], 4), (100, 1, 16, [5, 4], 4), (100, 1, 16, [1024, 1024], 100),
      (4, -1, 16, [5, 4], 4), (4, 0, 16, [0, 4], 1), (4, 0, -5, [5, 4], 1), (0, 0, 16, [5, 4], 1),
      (-3, 0, 16, [5, 4], 1), (5, 0, 1 << 40, [1024, 1024], 1), (1000, 0, 1, [100, 100], 100),
      (1000, 0, 1, [1024, 1024], 1000), (Int.max, 0, Int.min, [5, 4], 1), (5, 0, 30, [5, 4], 3),
    ] as [(Int, Int, Int, Shape, Int)])
  func `partitions of at least so many bytes`(
    maximum: Int, axis: Int, minimum: Int, shape: Shape, expected: Int
  ) throws {
    let partitioner = Partitioner.minMaxVariable(
      maximumPartitions: maximum, axis: axis, minimumSliceByteCount: minimum)
    #expect(try parts(partitioner, shape).count == expected)
  }

  @Test(
    arguments: [
      (.counts([2, 2]), [5, 4]), (.counts([0, 1]), [5, 4]), (.counts([-1, 1]), [5, 4]),
      (.counts([5]), [5, 4]), (.counts([1, 1, 1]), [5, 4]), (.counts([]), []),
      (.counts([6, 1]), [5, 4]), (.counts([2]), [0]), (.counts([Int.max]), [Int.max]),
      (.counts([1]), [Shape.unknownLength]), (.counts([1, 1]), [Int.max, 2]),
      (.fixedSize(shards: 0), [5]), (.fixedSize(shards: -1), [5]), (.fixedSize(shards: 2), [0, 4]),
      (.fixedSize(shards: 2), []), (.fixedSize(shards: 2, axis: 1), [5]),
      (.fixedSize(shards: 2, axis: -2), [5]), (.fixedSize(shards: 1, axis: Int.min), [5]),
      (.variableAxisSize(maximumShardByteCount: 0), [5]),
      (.variableAxisSize(maximumShardByteCount: 16, bytesPerStringElement: 0), [5]),
      (.variableAxisSize(maximumShardByteCount: 16, maximumShards: -1), [5]),
      (.variableAxisSize(maximumShardByteCount: 16, axis: 2), [5, 4]),
      (.variableAxisSize(maximumShardByteCount: 16), [0, 4]),
      (.variableAxisSize(maximumShardByteCount: 16), [4, 0]),
      (.variableAxisSize(maximumShardByteCount: 1), [Int.max]),
      (.minMaxVariable(maximumPartitions: 4, axis: 2), [5, 4]),
      (.minMaxVariable(maximumPartitions: 4, minimumSliceByteCount: 0), [5, 4]),
      (.minMaxVariable(maximumPartitions: Int.max, minimumSliceByteCount: 1), [Int.max]),
    ] as [(Partitioner, Shape)])
  func `what TensorFlow cannot cut is refused`(partitioner: Partitioner, shape: Shape) {
    let refusal = refusal(partitioner, shape)
    #expect(refusal?.reason == .invalidRequest)
    #expect(refusal?.variable == "w")
  }

  @Test(arguments: [.resource, .variant] as [DataType])
  func `elements without a size cannot be cut by size`(dtype: DataType) {
    #expect(refusal(.variableAxisSize(maximumShardByteCount: 16), [5], dtype) != nil)
    #expect(refusal(.minMaxVariable(maximumPartitions: 2), [5], dtype) != nil)
    #expect(refusal(.fixedSize(shards: 2), [5], dtype) == nil)
  }
}
