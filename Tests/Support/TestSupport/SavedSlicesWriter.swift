internal import Foundation

/// Writes V1 checkpoints as TensorFlow does.
///
/// Tests can make every part wrong.
///
/// Each table begins with a list of the tensors whose slices it has; each slice is a record of its
/// own. The writer shares no code with the reader.
public struct SavedSlicesWriter: Sendable {
  /// One axis of a slice.
  public typealias Extent = BundleWriter.Extent

  /// The values of a slice: one field of a TensorProto.
  public struct Values: Sendable {
    /// The message.
    public let bytes: [UInt8]

    /// Makes values from a message.
    public init(raw bytes: [UInt8]) {
      self.bytes = bytes
    }

    /// Makes values from numbers that are stored as varints: `int_val` (7), `int64_val` (10),
    /// `bool_val` (11) or `half_val` (13).
    public static func varints(_ field: Int, _ numbers: [Int], isPacked: Bool = true) -> Values {
      guard isPacked else {
        return Values(raw: numbers.flatMap { [UInt8(field << 3)] + Proto.varint($0) })
      }
      return Values(raw: Proto.message(field, numbers.flatMap { Proto.varint($0) }))
    }

    /// Makes values from little-endian numbers of one width: `float_val` (5), `double_val` (6),
    /// `scomplex_val` (9) or `dcomplex_val` (12).
    public static func fixed(
      _ field: Int, _ bytes: [UInt8], width: Int, isPacked: Bool = true
    ) -> Values {
      guard !isPacked else { return Values(raw: Proto.message(field, bytes)) }
      let tag = UInt8(field << 3 | (width == 4 ? 5 : 1))
      return Values(
        raw: stride(from: 0, to: bytes.count, by: width).flatMap { [tag] + bytes[$0..<$0 + width] })
    }

    /// Makes values from strings (8).
    public static func strings(_ strings: [[UInt8]]) -> Values {
      Values(raw: strings.flatMap { Proto.message(8, $0) })
    }
  }

  private struct Tensor {
    let name: [UInt8]
    let dtype: Int
    let shape: [Int]
    let slices: [[Extent]]
  }

  /// The versions that the lists state; nil to leave them out.
  public var versions: [UInt8]?
  /// The writer of the tables.
  public var table = BundleTable()
  private var lists: [[Tensor]] = []
  private var records: [[BundleWriter.Key: [UInt8]]] = []

  /// Starts with one empty table.
  public init() {}

  /// Lists a tensor with slices in a table, and writes those that have values.
  public mutating func add(
    _ name: BundleWriter.Key, dtype: Int, _ shape: [Int],
    _ slices: [(extents: [Extent], values: Values?)], in table: Int = 0
  ) {
    while lists.count <= table {
      lists.append([])
      records.append([:])
    }
    lists[table].append(
      Tensor(name: name.bytes, dtype: dtype, shape: shape, slices: slices.map(\.extents)))
    for slice in slices {
      guard let values = slice.values else { continue }
      let extents = slice.extents.flatMap { Proto.message(1, $0.bytes) }
      let saved =
        Proto.message(1, name.bytes) + Proto.message(2, extents) + Proto.message(3, values.bytes)
      records[table][.slice(of: name, slice.extents)] = Proto.message(2, saved)
    }
  }

  /// Lists a tensor with one slice, the whole tensor.
  public mutating func add(
    _ name: BundleWriter.Key, dtype: Int, _ shape: [Int], _ values: Values
  ) {
    add(name, dtype: dtype, shape, [(shape.map { _ in .whole }, values)])
  }

  /// The bytes of the tables.
  public func tables() -> [[UInt8]] {
    lists.indices.map { position in
      let entries = records[position].map { (key: $0.key.bytes, value: $0.value) }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
      return table.bytes(of: [(key: [], value: list(position))] + entries)
    }
  }

  private func list(_ position: Int) -> [UInt8] {
    let tensors = lists[position].flatMap { tensor in
      let lengths = tensor.shape.flatMap { Proto.message(2, Proto.number(1, $0)) }
      let slices = tensor.slices.flatMap { slice in
        Proto.message(4, slice.flatMap { Proto.message(1, $0.bytes) })
      }
      return Proto.message(
        1,
        Proto.message(1, tensor.name) + Proto.message(2, lengths) + Proto.number(3, tensor.dtype)
          + slices)
    }
    return Proto.message(1, tensors + (versions.map { Proto.message(2, $0) } ?? []))
  }

  /// Writes the tables into a directory; returns their paths.
  public func write(to directory: String) throws -> [String] {
    try tables().enumerated().map { position, bytes in
      let path = "\(directory)/model-\(position)"
      try Data(bytes).write(to: URL(filePath: path))
      return path
    }
  }
}
