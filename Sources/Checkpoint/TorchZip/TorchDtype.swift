import WarmstartTensorModel

/// The types of elements that PyTorch writes, with its own names.
enum TorchDtype: String, CaseIterable {
  case float32, float64, float16, bfloat16
  case int8, int16, int32, int64
  case uint8, uint16, uint32, uint64
  case bool, complex32, complex64, complex128
  case float8E4M3FN = "float8_e4m3fn"
  case float8E4M3FNUZ = "float8_e4m3fnuz"
  case float8E5M2 = "float8_e5m2"
  case float8E5M2FNUZ = "float8_e5m2fnuz"
  case float8E8M0FNU = "float8_e8m0fnu"
  case float4E2M1FNx2 = "float4_e2m1fn_x2"
  case quint8, qint8, qint32
  case quint4x2, quint2x4

  /// The type of the storages that have no type of their own.
  static let untyped = TorchDtype.uint8

  /// The classes of storages, by their names without `Storage`.
  private static let storages: [String: TorchDtype] = [
    "Float": .float32, "Double": .float64, "Half": .float16, "BFloat16": .bfloat16,
    "Char": .int8, "Short": .int16, "Int": .int32, "Long": .int64, "Byte": .uint8,
    "Bool": .bool, "ComplexFloat": .complex64, "ComplexDouble": .complex128,
    "QUInt8": .quint8, "QInt8": .qint8, "QInt32": .qint32, "QUInt4x2": .quint4x2,
    "QUInt2x4": .quint2x4,
  ]

  /// Finds the type of a class of storages in the module `torch`; nil if there is no such class.
  init?(storage name: String) {
    guard name.hasSuffix("Storage"), let found = TorchDtype.storages[String(name.dropLast(7))]
    else { return nil }
    self = found
  }

  /// The number of bytes of an element.
  var byteCount: Int {
    switch self {
    case .complex128: 16
    case .float64, .int64, .uint64, .complex64: 8
    case .float32, .int32, .uint32, .complex32, .qint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    default: 1
    }
  }

  /// The type in handles; nil if there is none.
  ///
  /// Other types of the same name, such as TensorFlow's quantized ones, are different types.
  var dataType: DataType? {
    switch self {
    case .complex32, .quint8, .qint8, .qint32, .quint4x2, .quint2x4: nil
    default: DataType(name: rawValue)
    }
  }
}
