/// Checkpoints of the largest sizes that Warmstart is meant for.
///
/// Each takes little room on disk.
public enum LargeCheckpoints {
  /// The name of one of many tensors, as long and as similar as names in a real model.
  public static func name(_ number: Int) -> String {
    let leaves = [
      "attention/key/bias", "attention/key/kernel", "attention/query/bias",
      "attention/query/kernel", "attention/value/bias", "attention/value/kernel", "norm/beta",
      "norm/gamma", "output/bias", "output/kernel",
    ]
    let layer = String(number / leaves.count)
    let zeros = String(repeating: "0", count: max(0, 5 - layer.count))
    return "model/encoder/layer_\(zeros)\(layer)/" + leaves[number % leaves.count]
  }

  /// The shape of each of many tensors.
  public static let shape = [2, 8]

  /// Writes many tensors of float32, whose elements all are the tensor's number.
  public static func many(
    _ count: Int, shards: Int = 1, to directory: String
  ) throws -> BundleWriter.Bundle {
    var writer = BundleWriter()
    for number in 0..<count {
      let bits = Float(number).bitPattern
      let element = (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
      let bytes = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
        for index in 0..<64 { buffer[index] = element[index & 3] }
        count = 64
      }
      writer.add(.init(name(number)), dtype: 1, shape, bytes, in: number % shards)
    }
    return try writer.write(to: directory)
  }

  /// The shape of each of 100 tables.
  public static let tableShape = [160, 100]

  /// The shape of a table's partitions, 40 along its first axis and 25 along its second.
  public static let partitionShape = [4, 4]

  /// Writes 100 tables of float32, each element being its position.
  public static func tables(to directory: String) throws -> BundleWriter.Bundle {
    var writer = BundleWriter()
    let bytes = (0..<16_000).flatMap { position in
      (0..<4).map { UInt8(truncatingIfNeeded: Float(position).bitPattern >> (8 * UInt32($0))) }
    }
    for number in 0..<100 { writer.add(.init(table(number)), dtype: 1, tableShape, bytes) }
    return try writer.write(to: directory)
  }

  /// The first partitions of the tables, row by row.
  public static func partitions(
    _ count: Int
  ) -> [(name: String, table: String, offset: [Int])] {
    (0..<count).map { number in
      let (row, column) = (number % 1000 / 25, number % 25)
      let table = table(number / 1000)
      return ("\(table)/part_\(number % 1000)", table, [4 * row, 4 * column])
    }
  }

  private static func table(_ number: Int) -> String { "model/table_\(number + 100)" }

  /// The length of the tensor `huge`: odd, and too large for 32 bits.
  public static let hugeByteCount = 5 << 30 | 1

  /// Writes one shard that is nearly all a hole: `first`, `huge` at an odd offset, and `last` at
  /// the far end.
  public static func sparse(
    byteCount: Int = 100 << 30, to directory: String
  ) throws -> BundleWriter.Bundle {
    var writer = BundleWriter()
    writer.add("first", dtype: 4, [3], [1, 2, 3])
    writer.addZeros("huge", dtype: 4, [hugeByteCount])
    writer.skip(byteCount - hugeByteCount - 11)
    writer.add("last", dtype: 1, [2], [0, 0, 128, 63, 0, 0, 0, 64])
    return try writer.write(to: directory)
  }
}
