import WarmstartTensorModel

/// The type of an `.npy` file's elements: `<f4` is a little-endian `float32`.
///
/// Format: `numpy.dtype.str`, the array interface protocol's `typestr`.
struct NpyDtype {
  /// The type of a header without one.
  static let missing = NpyDtype(dataType: .bool, isBigEndian: false)

  private static let types: [String: DataType] = [
    "b1": .bool, "i1": .int8, "i2": .int16, "i4": .int32, "i8": .int64, "u1": .uint8, "u2": .uint16,
    "u4": .uint32, "u8": .uint64, "f2": .float16, "f4": .float32, "f8": .float64,
    "c8": .complex64, "c16": .complex128,
  ]

  let dataType: DataType
  let isBigEndian: Bool

  private init(dataType: DataType, isBigEndian: Bool) {
    self.dataType = dataType
    self.isBigEndian = isBigEndian
  }

  /// Parses the type in a header.
  ///
  /// - Throws: `unsupported` for a type of which elements are not numbers, or which has no handles.
  init(_ text: String) throws(IndexError) {
    let order = text.first
    let type = order.map { "<>|=".contains($0) } == true ? String(text.dropFirst()) : text
    guard let dataType = NpyDtype.types[type] else {
      throw .unsupported(NpyDtype.reason(text, type))
    }
    self.dataType = dataType
    isBigEndian = order == ">" && dataType.byteCount != 1
  }

  private static func reason(_ text: String, _ type: String) -> String {
    let name = "is an array of dtype \(String(text.prefix(40)).printable)"
    return switch type.first {
    case "O": "\(name), which holds Python objects in a pickle: save an array of numbers"
    case "S", "U", "a", "T": "\(name), which holds strings: save an array of numbers"
    case "M", "m": "\(name), which holds times: save array.view('int64')"
    case "V":
      "\(name), which holds bytes without a type, as NumPy writes for bfloat16 and float8: save "
        + "array.view('uint16') or array.view('uint8')"
    default: "\(name), expected numbers of 1 to 8 bytes"
    }
  }
}
