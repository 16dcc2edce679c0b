import WarmstartProtobuf

/// One axis of a slice as a checkpoint spells it.
package struct StoredExtent: Sendable, Hashable {
  package var start: Int
  /// nil for the whole axis.
  ///
  /// The key of a slice depends on whether its length is spelled out.
  package var length: Int?

  package init(start: Int = 0, length: Int? = nil) {
    self.start = start
    self.length = length
  }
}

// MARK: - TensorSliceProto and TensorShapeProto

extension [StoredExtent] {
  /// The memory that one extent takes, in bytes: an array grows by doubling.
  private static let byteCountWhileParsing = 2 * MemoryLayout<StoredExtent>.stride

  /// Parses a `TensorSliceProto`.
  ///
  /// - Parameters:
  ///   - allowance: The memory that parsing may take, in bytes; reduced by what it took.
  /// - Throws: `tooLarge` if the allowance is too small.
  init(parsing slice: Span<UInt8>, within allowance: inout Int) throws(MessageError) {
    self = []
    var reader = FieldReader(slice)
    while let field = try reader.next() {
      guard case (1, .bytes(let range)) = field else { continue }
      try allowance.spend(Self.byteCountWhileParsing)
      append(try StoredExtent(parsing: slice.extracting(range)))
    }
  }
}

extension StoredExtent {
  fileprivate init(parsing extent: Span<UInt8>) throws(MessageError) {
    self.init()
    var reader = FieldReader(extent)
    while let field = try reader.next() {
      switch field {
      case (1, .varint(let value)): start = Int(truncatingIfNeeded: value)
      case (2, .varint(let value)): length = Int(truncatingIfNeeded: value)
      default: break
      }
    }
  }
}

extension [Int] {
  /// The memory that one length takes, in bytes: an array that grows holds its elements three
  /// times.
  private static let byteCountWhileParsing = 3 * MemoryLayout<Int>.stride

  /// Parses a `TensorShapeProto` and appends the lengths of its axes, whatever they are.
  ///
  /// - Parameters:
  ///   - allowance: The memory that parsing may take, in bytes; reduced by what it took.
  /// - Throws: `tooLarge` if the allowance is too small.
  mutating func append(
    parsing shape: Span<UInt8>, within allowance: inout Int
  ) throws(MessageError) {
    var reader = FieldReader(shape)
    while let field = try reader.next() {
      guard case (2, .bytes(let range)) = field else { continue }
      try allowance.spend(Self.byteCountWhileParsing)
      var length = 0
      var axis = FieldReader(shape.extracting(range))
      while let field = try axis.next() {
        if case (1, .varint(let value)) = field { length = Int(truncatingIfNeeded: value) }
      }
      append(length)
    }
  }
}

extension Int {
  /// Subtracts a number of bytes; throws `tooLarge` if fewer are left.
  mutating func spend(_ byteCount: Int) throws(MessageError) {
    guard byteCount <= self else { throw .tooLarge(limit: self) }
    self -= byteCount
  }
}
