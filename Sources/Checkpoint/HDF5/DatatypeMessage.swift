import WarmstartTensorModel

/// The type of a dataset's elements.
///
/// See "The Datatype Message" (IV.A.2.d) of the specification. h5py stores what HDF5 has no type
/// for as others: a complex number as a compound of `r` and `i`, a bool as an enumeration, and a
/// bfloat16 as two opaque bytes.
enum HDF5Datatype {
  /// Numbers that tensors have.
  case numbers(DataType, isBigEndian: Bool)
  /// Bytes of which the file does not say what they mean.
  case opaque(byteCount: Int)
  /// Text, of which no weight consists.
  case text
  /// Anything else, with a name for messages: `a reference`.
  case other(String)

  private static let part = "a datatype message"
  /// An enumeration of enumerations is no type of HDF5.
  private static let maximumDepth = 2

  /// Reads a datatype message.
  init(_ message: HDF5Fields) throws(IndexError) {
    var fields = message
    self = try Self.parse(&fields, depth: 0).type
  }

  /// Reads a datatype, which may be a part of another.
  private static func parse(
    _ fields: inout HDF5Fields, depth: Int
  ) throws(IndexError) -> (type: HDF5Datatype, byteCount: Int) {
    let first = try fields.uint8()
    let bits = Int(try fields.number(3))
    let byteCount = try fields.uint32()
    let type: HDF5Datatype
    switch first & 0x0f {
    case 0: type = try integer(&fields, bits, byteCount)
    case 1: type = try float(&fields, bits, byteCount)
    case 2: type = .other("a time")
    case 3: type = .text
    case 4: type = .other("a bit field")
    case 5: type = .opaque(byteCount: byteCount)
    case 6:
      type = try compound(&fields, first >> 4, memberCount: bits & 0xffff, byteCount, depth: depth)
    case 7: type = .other("a reference")
    case 8: type = try enumeration(&fields, first >> 4, memberCount: bits & 0xffff, depth: depth)
    case 9: type = bits & 0x0f == 1 ? .text : .other("a sequence of variable length")
    case 10: type = .other("an array")
    case 11: type = .other("HDF5's complex number")
    default:
      throw .malformed(
        at: fields.offset - 8, "has \(part) of class \(first & 0x0f), expected 0 to 11")
    }
    return (type, byteCount)
  }

  // MARK: Numbers

  private static func integer(
    _ fields: inout HDF5Fields, _ bits: Int, _ byteCount: Int
  ) throws(IndexError) -> HDF5Datatype {
    let (offset, precision) = (try fields.uint16(), try fields.uint16())
    let isSigned = bits & 0x08 != 0
    let dtype: DataType? =
      switch byteCount {
      case 1: isSigned ? .int8 : .uint8
      case 2: isSigned ? .int16 : .uint16
      case 4: isSigned ? .int32 : .uint32
      case 8: isSigned ? .int64 : .uint64
      default: nil
      }
    guard let dtype, offset == 0, precision == 8 * byteCount else {
      return .other("an integer of \(precision) bits in \(byteCount) bytes")
    }
    return .numbers(dtype, isBigEndian: bits & 1 != 0)
  }

  private static func float(
    _ fields: inout HDF5Fields, _ bits: Int, _ byteCount: Int
  ) throws(IndexError) -> HDF5Datatype {
    let (offset, precision) = (try fields.uint16(), try fields.uint16())
    let layout = [
      bits >> 8 & 0xff, Int(try fields.uint8()), Int(try fields.uint8()),
      Int(try fields.uint8()), Int(try fields.uint8()), try fields.uint32(),
    ]
    // The sign's place, the place and length of the exponent and of the fraction, and the bias.
    let dtype: DataType? =
      switch (byteCount, layout) {
      case (2, [15, 10, 5, 0, 10, 15]): .float16
      case (2, [15, 7, 8, 0, 7, 127]): .bfloat16
      case (4, [31, 23, 8, 0, 23, 127]): .float32
      case (8, [63, 52, 11, 0, 52, 1023]): .float64
      default: nil
      }
    let hasImpliedBit = bits >> 4 & 3 == 2
    let isVAX = bits & 0x40 != 0
    guard let dtype, offset == 0, precision == 8 * byteCount, hasImpliedBit, !isVAX else {
      return .other("a float of \(precision) bits in \(byteCount) bytes")
    }
    return .numbers(dtype, isBigEndian: bits & 1 != 0)
  }

  // MARK: Types that h5py makes of others

  /// Reads an enumeration: a bool if it has FALSE and TRUE, else the numbers of its values.
  private static func enumeration(
    _ fields: inout HDF5Fields, _ version: UInt8, memberCount: Int, depth: Int
  ) throws(IndexError) -> HDF5Datatype {
    guard depth < maximumDepth else { return .other("an enumeration of enumerations") }
    let base = try parse(&fields, depth: depth + 1)
    guard memberCount == 2, case .numbers(.int8, _) = base.type else { return base.type }
    let multiple = version < 3 ? 8 : 1
    let names = [try fields.text(paddedTo: multiple), try fields.text(paddedTo: multiple)]
    guard !names.contains(where: \.isEmpty) else {
      return .other("an enumeration with an empty name")
    }
    let values = try fields.take(2).rest
    let isBool =
      names[0].elementsEqual("FALSE".utf8) && names[1].elementsEqual("TRUE".utf8)
      && values.elementsEqual([0, 1])
    return isBool ? .numbers(.bool, isBigEndian: false) : base.type
  }

  /// Reads a compound type: a complex number if it has the two floats `r` and `i`.
  private static func compound(
    _ fields: inout HDF5Fields, _ version: UInt8, memberCount: Int, _ byteCount: Int, depth: Int
  ) throws(IndexError) -> HDF5Datatype {
    let other = HDF5Datatype.other("a compound type")
    guard memberCount == 2, depth < maximumDepth else { return other }
    var parts: [DataType] = []
    var orders: [Bool] = []
    for (position, expected) in ["r", "i"].enumerated() {
      let name = try fields.text(paddedTo: version < 3 ? 8 : 1)
      let offsetByteCount =
        version < 3 ? 4 : (byteCount.bitWidth - byteCount.leadingZeroBitCount + 7) / 8
      let offset = try fields.length(max(1, offsetByteCount))
      if version == 1 { try fields.skip(28) }
      let member = try parse(&fields, depth: depth + 1)
      guard name.elementsEqual(expected.utf8), offset == position * member.byteCount,
        case .numbers(let dtype, let isBigEndian) = member.type
      else { return other }
      parts.append(dtype)
      orders.append(isBigEndian)
    }
    guard parts[0] == parts[1], orders[0] == orders[1] else { return other }
    switch (parts[0], byteCount) {
    case (.float32, 8): return .numbers(.complex64, isBigEndian: orders[0])
    case (.float64, 16): return .numbers(.complex128, isBigEndian: orders[0])
    default: return other
    }
  }
}
