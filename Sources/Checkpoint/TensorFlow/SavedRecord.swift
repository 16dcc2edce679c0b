import WarmstartKernel
import WarmstartProtobuf
import WarmstartTensorModel

/// Decodes the elements of one slice in a V1 table: a `SavedSlice` with a `TensorProto`.
///
/// Like `RestoreV2`, it reads only the repeated field of the element type, packed or not, and
/// neither `tensor_content` nor a single value for all elements.
struct SavedRecord {
  /// The field of TensorProto that has the elements of a type, and their encoding.
  private enum Encoding {
    case fixed32(field: UInt64)
    case fixed64(field: UInt64)
    case varint(field: UInt64, width: Int)
    case bool(field: UInt64)

    init?(_ dtype: DataType) {
      switch dtype {
      case .float32: self = .fixed32(field: 5)
      case .float64: self = .fixed64(field: 6)
      case .int32, .qint32: self = .varint(field: 7, width: 4)
      case .int16, .uint16: self = .varint(field: 7, width: 2)
      case .uint8, .int8, .qint8, .quint8: self = .varint(field: 7, width: 1)
      case .complex64: self = .fixed32(field: 9)
      case .int64: self = .varint(field: 10, width: 8)
      case .bool: self = .bool(field: 11)
      case .complex128: self = .fixed64(field: 12)
      case .float16: self = .varint(field: 13, width: 2)
      // TensorFlow reads both, but writes neither.
      case .uint32: self = .varint(field: 16, width: 4)
      case .uint64: self = .varint(field: 17, width: 8)
      default: return nil
      }
    }

    var field: UInt64 {
      switch self {
      case .fixed32(let field), .fixed64(let field), .varint(let field, _), .bool(let field): field
      }
    }
  }

  /// Whether V1 checkpoints can store the type.
  static func canHold(_ dtype: DataType) -> Bool { dtype == .string || Encoding(dtype) != nil }

  /// Decodes numbers to this machine's byte order; nil if their length is not the expected one.
  static func numbers(
    _ contents: [UInt8], _ value: Range<Int>, _ dtype: DataType, byteCount: Int
  ) -> [UInt8]? {
    guard let encoding = Encoding(dtype) else { return nil }
    var bytes: [UInt8] = []
    // One byte of a record is at most one element of eight bytes.
    bytes.reserveCapacity(min(byteCount, value.count * 8))
    do throws(MessageError) {
      try forEachTensorField(contents, value) { field throws(MessageError) in
        guard field.number == encoding.field, bytes.count <= byteCount else { return }
        try append(field.value, encoding, of: contents, to: &bytes, upTo: byteCount)
      }
    } catch {
      return nil
    }
    return bytes.count == byteCount ? bytes : nil
  }

  /// Decodes strings; nil if their number is not the expected one.
  static func strings(_ contents: [UInt8], _ value: Range<Int>, count: Int) -> StringRun? {
    var offsets = [0]
    var bytes: [UInt8] = []
    do throws(MessageError) {
      try forEachTensorField(contents, value) { field throws(MessageError) in
        guard case (8, .bytes(let range)) = field else { return }
        bytes.append(contentsOf: contents[range])
        offsets.append(bytes.count)
      }
    } catch {
      return nil
    }
    guard offsets.count - 1 == count else { return nil }
    return StringRun(offsets: offsets, place: .memory(bytes))
  }

  /// Appends the elements of one field; stops when there are more bytes than expected.
  private static func append(
    _ value: FieldReader.Value, _ encoding: Encoding, of contents: [UInt8],
    to bytes: inout [UInt8], upTo byteCount: Int
  ) throws(MessageError) {
    switch (encoding, value) {
    case (.fixed32, .bytes(let range)), (.fixed64, .bytes(let range)):
      bytes.append(contentsOf: contents[range])
    case (.fixed32, .fixed32(let element)): bytes.append(UInt64(element), width: 4)
    case (.fixed64, .fixed64(let element)): bytes.append(element, width: 8)
    case (.varint(_, let width), .varint(let element)): bytes.append(element, width: width)
    case (.bool, .varint(let element)): bytes.append(element == 0 ? 0 : 1)
    case (.varint(_, let width), .bytes(let range)):
      var reader = FieldReader(contents.span.extracting(range))
      while bytes.count <= byteCount, let element = try reader.nextVarint() {
        bytes.append(element, width: width)
      }
    case (.bool, .bytes(let range)):
      var reader = FieldReader(contents.span.extracting(range))
      while bytes.count <= byteCount, let element = try reader.nextVarint() {
        bytes.append(element == 0 ? 0 : 1)
      }
    default: break
    }
  }

  /// Passes the fields of the record's TensorProto to the body; ranges refer to `contents`.
  private static func forEachTensorField(
    _ contents: [UInt8], _ value: Range<Int>,
    _ body: ((number: UInt64, value: FieldReader.Value)) throws(MessageError) -> Void
  ) throws(MessageError) {
    var record = FieldReader(contents.span.extracting(value), at: value.lowerBound)
    while let field = try record.next() {
      guard case (2, .bytes(let range)) = field else { continue }
      var slice = FieldReader(contents.span.extracting(range), at: range.lowerBound)
      while let field = try slice.next() {
        guard case (3, .bytes(let range)) = field else { continue }
        var tensor = FieldReader(contents.span.extracting(range), at: range.lowerBound)
        while let field = try tensor.next() { try body(field) }
      }
    }
  }
}

extension [UInt8] {
  /// Appends the low bytes of a number, low byte first.
  fileprivate mutating func append(_ number: UInt64, width: Int) {
    for shift in stride(from: UInt64(0), to: UInt64(width) * 8, by: 8) {
      append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
}
