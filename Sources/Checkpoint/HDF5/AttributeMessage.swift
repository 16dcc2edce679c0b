import WarmstartTensorModel

/// A named value of an object, of which Keras uses text: `name` and `dtype`.
///
/// See "The Attribute Message" (IV.A.2.m) of the specification.
struct HDF5Attribute {
  /// The longest text that is read, in bytes; chosen, not tuned.
  private static let maximumTextByteCount = 4096
  private static let part = "an attribute message"

  private let datatype: HDF5Fields
  private let value: HDF5Fields

  /// Reads the message of an attribute; nil if the attribute has another name.
  private init?(_ message: HDF5Fields, named name: String) throws(IndexError) {
    var fields = message
    let version = try fields.version(1...3)
    let flags = try fields.uint8()
    let counts = [try fields.uint16(), try fields.uint16(), try fields.uint16()]
    try fields.skip(version == 3 ? 1 : 0)
    let found = try Self.take(counts[0], version, &fields)
    let hasName = found.rest.prefix { $0 != 0 }.elementsEqual(name.utf8)
    // Of a shared type or shape the message only says where it is.
    guard hasName, version == 1 || flags & 3 == 0 else { return nil }
    datatype = try Self.take(counts[1], version, &fields)
    _ = try Self.take(counts[2], version, &fields)
    value = fields
  }

  /// Takes a part of the message, which version 1 pads to a multiple of eight bytes.
  private static func take(
    _ count: Int, _ version: UInt8, _ fields: inout HDF5Fields
  ) throws(IndexError) -> HDF5Fields {
    let part = try fields.take(count)
    if version == 1 { try fields.skip((8 - count % 8) % 8) }
    return part
  }

  /// Reads the text of an object's attribute; nil if the object has none, or one that is no text.
  static func text(
    _ name: String, of header: ObjectHeader, in file: inout HDF5File
  ) throws(IndexError) -> ArraySlice<UInt8>? {
    for message in header.messages where message.kind == .attribute && !message.isShared {
      guard let attribute = try HDF5Attribute(message.fields, named: name) else { continue }
      return try attribute.text(in: &file)
    }
    return nil
  }

  private func text(in file: inout HDF5File) throws(IndexError) -> ArraySlice<UInt8>? {
    var (datatype, value) = (datatype, value)
    let first = try datatype.uint8()
    let bits = try datatype.number(3)
    let byteCount = try datatype.uint32()
    switch first & 0x0f {
    case 3:
      guard byteCount <= Self.maximumTextByteCount else { return nil }
      return try value.take(byteCount).rest.prefix { $0 != 0 }
    case 9 where bits & 0x0f == 1:
      let count = try value.uint32()
      guard count <= Self.maximumTextByteCount else { return nil }
      guard let collection = try value.address(), count > 0 else { return [] }
      let index = try value.uint32()
      return try file.globalHeapObject(index, inCollectionAt: collection)?.prefix(count)
    default: return nil
    }
  }
}
