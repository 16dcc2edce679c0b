import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// One variable of `Tests/Data/Cases/partitioners.json`.
struct PartitionerCase: SharedCase {
  enum Kind: String, Codable {
    case counts
    case fixedSize = "fixed_size"
    case variableAxisSize = "variable_axis_size"
    case minMaxVariable = "min_max_variable"
  }

  struct Arguments: Codable {
    let kind: Kind
    let counts: [Int]?
    let shards: Int?
    let maximumShardByteCount: Int?
    let maximumShards: Int?
    let maximumPartitions: Int?
    let minimumSliceByteCount: Int?
    let axis: Int?
    let stringByteCount: Int?

    /// The arguments as TensorFlow names them.
    enum CodingKeys: String, CodingKey {
      case kind, counts, axis
      case shards = "num_shards"
      case maximumShardByteCount = "max_shard_bytes"
      case maximumShards = "max_shards"
      case maximumPartitions = "max_partitions"
      case minimumSliceByteCount = "min_slice_size"
      case stringByteCount = "bytes_per_string_element"
    }
  }

  let name: String
  let partitioner: Arguments
  let dtype: String
  let shape: [Int]
  let parts: [[Int]]?
  let offsets: [[Int]]?
  let count: Int?
  let error: String?
}

extension PartitionerCase.Arguments {
  /// The partitioner with these arguments; a missing one has TensorFlow's default.
  func partitioner() throws -> Partitioner {
    switch kind {
    case .counts: .counts(try #require(counts))
    case .fixedSize: .fixedSize(shards: try #require(shards), axis: axis ?? 0)
    case .variableAxisSize:
      .variableAxisSize(
        maximumShardByteCount: try #require(maximumShardByteCount), axis: axis ?? 0,
        bytesPerStringElement: stringByteCount ?? 16, maximumShards: maximumShards)
    case .minMaxVariable:
      .minMaxVariable(
        maximumPartitions: maximumPartitions ?? 1, axis: axis ?? 0,
        minimumSliceByteCount: minimumSliceByteCount ?? 256 << 10,
        bytesPerStringElement: stringByteCount ?? 16)
    }
  }
}

/// Partitions as in the shared cases, which note where TensorFlow differs.
@Suite struct PartitionerTests {
  @Test(arguments: try SharedCases.load("partitioners", as: PartitionerCase.self))
  func `a variable is cut as the shared cases say`(given: PartitionerCase) throws {
    let dtype = try #require(DataType(name: given.dtype))
    let shape = Shape(given.shape)
    let partitioner = try given.partitioner.partitioner()
    do throws(Problem) {
      let partitions = try partitioner.cut("w", dtype, shape)
      #expect(given.error == nil)
      check(partitions, given, dtype, shape)
    } catch {
      #expect(error.reason.rawValue == given.error)
      #expect(error.variable == "w")
    }
  }

  private func check(
    _ partitions: [Variable], _ given: PartitionerCase, _ dtype: DataType, _ shape: Shape
  ) {
    #expect(partitions.map(\.name) == partitions.indices.map { Name("w/part_\($0)") })
    #expect(partitions.allSatisfy { $0.isInStore && $0.dtype == dtype })
    #expect(partitions.allSatisfy { $0.partition?.fullName == "w" })
    #expect(partitions.allSatisfy { $0.partition?.fullShape == shape })
    #expect(partitions.count == given.count ?? given.parts?.count)
    if let parts = given.parts {
      #expect(partitions.compactMap(\.shape) == parts.map { Shape($0) })
    }
    if let offsets = given.offsets {
      #expect(partitions.map { $0.partition.map { Array($0.offset) } } == offsets)
    }
  }
}
