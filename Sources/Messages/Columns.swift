internal import CWarmstartMessages
internal import CWarmstartProtobufC
import WarmstartProtobuf
import WarmstartTensorModel

// Columns on the wire are packed fields of fixed width: protobuf-c copies each in one piece.

extension Scratch {
  /// A copy of a column.
  func column<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
    let copy = unsafe make(values.count, of: Value.self)
    unsafe values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return }
      unsafe copy.update(from: start, count: values.count)
    }
    return unsafe copy
  }

  /// A copy of a column of numbers that are not negative.
  func column(_ values: [Int]) -> UnsafeMutablePointer<UInt64> {
    let copy: UnsafeMutablePointer<Int> = unsafe column(values)
    return unsafe UnsafeMutableRawPointer(copy).bindMemory(to: UInt64.self, capacity: values.count)
  }

  /// The message of a list of names.
  ///
  /// A length of 4 GiB or more becomes the largest one; a frame with that name is too long to be
  /// sent.
  func message(_ names: NameList) -> UnsafeMutablePointer<Warmstart__V1__Names> {
    let lengths = unsafe make(names.count, of: UInt32.self)
    for position in 0..<names.count {
      unsafe lengths[position] = UInt32(clamping: names.range(position).count)
    }
    return unsafe message(ofNames: column(names.bytes), names.bytes.count, lengths, names.count)
  }

  /// The message of names; `name` returns the name at a position.
  func names(_ count: Int, _ name: (Int) -> Name) -> UnsafeMutablePointer<Warmstart__V1__Names> {
    let lengths = unsafe make(count, of: UInt32.self)
    var byteCount = 0
    for position in 0..<count {
      let length = name(position).bytes.count
      unsafe lengths[position] = UInt32(clamping: length)
      byteCount += length
    }
    let text = unsafe make(byteCount, of: UInt8.self)
    var end = unsafe text
    for position in 0..<count {
      unsafe name(position).bytes.withUnsafeBufferPointer { bytes in
        guard let start = bytes.baseAddress else { return }
        unsafe end.update(from: start, count: bytes.count)
        unsafe end += bytes.count
      }
    }
    return unsafe message(ofNames: text, byteCount, lengths, count)
  }

  private func message(
    ofNames text: UnsafeMutablePointer<UInt8>, _ byteCount: Int,
    _ lengths: UnsafeMutablePointer<UInt32>, _ count: Int
  ) -> UnsafeMutablePointer<Warmstart__V1__Names> {
    let message = unsafe make(1, of: Warmstart__V1__Names.self)
    unsafe warmstart__v1__names__init(message)
    unsafe message.pointee.text = ProtobufCBinaryData(len: byteCount, data: text)
    unsafe message.pointee.lengths = lengths
    unsafe message.pointee.n_lengths = count
    return unsafe message
  }
}

extension FieldWriter {
  /// Puts a list of names in front as the message `Names`.
  mutating func prepend(field: UInt64, _ names: NameList) {
    prepend(field: field) { frame in
      frame.prepend(field: 2, count: names.count) { UInt32(clamping: names.range($0).count) }
      if !names.bytes.isEmpty { frame.prepend(field: 1, names.bytes.span) }
    }
  }

  /// Puts names in front as the message `Names`; `withName` lets its body see the one at a
  /// position.
  @inline(__always)
  mutating func prepend(
    field: UInt64, names count: Int, _ withName: (Int, (Span<UInt8>) -> Void) -> Void
  ) {
    prepend(field: field) { frame in
      var byteCount = 0
      frame.prepend(field: 2, count: count) { position in
        var length = 0
        withName(position) { length = $0.count }
        byteCount += length
        return UInt32(clamping: length)
      }
      guard byteCount > 0 else { return }
      unsafe frame.prepend(byteCount: byteCount) { place in
        var place = unsafe place
        for position in 0..<count {
          withName(position) { name in
            unsafe name.withUnsafeBytes { bytes in
              guard let source = bytes.baseAddress else { return }
              unsafe place.copyMemory(from: source, byteCount: bytes.count)
              unsafe place += bytes.count
            }
          }
        }
      }
      frame.prepend(varint: UInt64(byteCount))
      frame.prepend(varint: 1 << 3 | 2)
    }
  }
}

extension NameList {
  /// Unpacks the message `Names`, which must have that many.
  init(
    _ pointer: UnsafeMutablePointer<Warmstart__V1__Names>?, count: Int, of what: String
  ) throws(MessageError) {
    guard let message = unsafe pointer?.pointee else {
      guard count == 0 else { throw .malformed("\(what) without names") }
      self.init()
      return
    }
    try expect(unsafe message.n_lengths, count, of: what, "names")
    let text = unsafe column(message.text.data, message.text.len)
    let lengths = unsafe column(message.lengths, message.n_lengths)
    guard let column = NameList(text, lengths: lengths) else {
      throw .malformed("\(what): the names' lengths do not add up to the text's")
    }
    self = column
  }
}

/// A copy of a column that was unpacked.
func column<Value: BitwiseCopyable>(
  _ values: UnsafeMutablePointer<Value>?, _ count: Int
) -> [Value] {
  unsafe Array(UnsafeBufferPointer(start: values, count: count))
}

/// A copy of a column of numbers; those that no `Int` can be become the largest one.
func column(_ values: UnsafeMutablePointer<UInt64>?, _ count: Int) -> [Int] {
  unsafe UnsafeBufferPointer(start: values, count: count).map { Int(clamping: $0) }
}

/// A copy of a column of numbers.
func column(_ values: UnsafeMutablePointer<Int64>?, _ count: Int) -> [Int] {
  unsafe UnsafeBufferPointer(start: values, count: count).map { Int($0) }
}

/// Unpacks a column of numbers for the axes of tensors of these ranks.
///
/// Only what is declared may have an unknown rank, which is below 0.
func shapes(
  _ lengths: [Int], ranks: [Int32], areKnown: Bool = true, of what: String
) throws(MessageError) -> ShapeList {
  guard !areKnown || ranks.allSatisfy({ $0 >= 0 }) else {
    throw .malformed("\(what) of ranks below 0")
  }
  guard let shapes = ShapeList(lengths, ranks: ranks) else {
    throw .malformed("\(what): the ranks do not add up to \(lengths.count) axes")
  }
  return shapes
}

/// Throws unless a column is as long as the others.
func expect(
  _ count: Int, _ expected: Int, of what: String, _ column: String
) throws(MessageError) {
  guard count == expected else {
    throw .malformed("\(what): \(count) \(column) for \(expected)")
  }
}

/// Unpacks TensorFlow's numbers of element types.
func dtypes(
  _ values: UnsafeMutablePointer<UInt32>?, _ count: Int, of what: String
) throws(MessageError) -> [DataType] {
  var dtypes: [DataType] = []
  dtypes.reserveCapacity(count)
  for index in 0..<count {
    let number = unsafe values.unsafelyUnwrapped[index]
    guard let dtype = DataType(rawValue: Int32(truncatingIfNeeded: number)) else {
      throw .malformed("\(what) of dtype \(number)")
    }
    dtypes.append(dtype)
  }
  return dtypes
}
