/// The type of a tensor's elements, with the numbers and names of TensorFlow (`DataType`,
/// types.proto), and those of other formats.
public enum DataType: Int32, Sendable, Hashable, CaseIterable {
  /// A 32-bit IEEE 754 number: `Float`.
  case float32 = 1
  /// A 64-bit IEEE 754 number: `Double`.
  case float64 = 2
  /// A signed 32-bit integer.
  case int32 = 3
  /// An unsigned 8-bit integer.
  case uint8 = 4
  /// A signed 16-bit integer.
  case int16 = 5
  /// A signed 8-bit integer.
  case int8 = 6
  /// A string of bytes, of any length.
  case string = 7
  /// Two `float32`: the real and the imaginary part.
  case complex64 = 8
  /// A signed 64-bit integer.
  case int64 = 9
  /// A truth value of one byte.
  case bool = 10
  /// A quantized signed 8-bit integer.
  case qint8 = 11
  /// A quantized unsigned 8-bit integer.
  case quint8 = 12
  /// A quantized signed 32-bit integer.
  case qint32 = 13
  /// The upper 16 bits of a `float32`.
  case bfloat16 = 14
  /// A quantized signed 16-bit integer.
  case qint16 = 15
  /// A quantized unsigned 16-bit integer.
  case quint16 = 16
  /// An unsigned 16-bit integer.
  case uint16 = 17
  /// Two `float64`: the real and the imaginary part.
  case complex128 = 18
  /// A 16-bit IEEE 754 number.
  case float16 = 19
  /// A handle of TensorFlow's runtime, which checkpoints do not hold.
  case resource = 20
  /// A value of TensorFlow's runtime, such as a list; Warmstart does not read it.
  case variant = 21
  /// An unsigned 32-bit integer.
  case uint32 = 22
  /// An unsigned 64-bit integer.
  case uint64 = 23
  /// An 8-bit number with 5 exponent bits.
  case float8E5M2 = 24
  /// An 8-bit number with 4 exponent bits, without infinities.
  case float8E4M3FN = 25
  /// An 8-bit number with 4 exponent bits, without infinities and negative zero.
  case float8E4M3FNUZ = 26
  /// An 8-bit number with 4 exponent bits and a bias of 11, without infinities and negative zero.
  case float8E4M3B11FNUZ = 27
  /// An 8-bit number with 5 exponent bits, without infinities and negative zero.
  case float8E5M2FNUZ = 28
  /// A signed 4-bit integer in a byte of its own.
  case int4 = 29
  /// An unsigned 4-bit integer in a byte of its own.
  case uint4 = 30
  /// A signed 2-bit integer in a byte of its own.
  case int2 = 31
  /// An unsigned 2-bit integer in a byte of its own.
  case uint2 = 32
  /// A 4-bit number with 2 exponent bits in a byte of its own, without infinities.
  case float4E2M1FN = 33

  // Types of other formats, which TensorFlow has not, have numbers from 1001 on.

  /// An 8-bit power of two, without sign and zero.
  case float8E8M0FNU = 1001
  /// Two 4-bit numbers with 2 exponent bits in a byte, as PyTorch has them.
  case float4E2M1FNx2 = 1002
  /// Elements that do not begin at bytes, such as 6-bit numbers; Warmstart does not share them.
  case packed = 1003

  /// Whether TensorFlow has the type, with this number.
  package var isTensorFlows: Bool { rawValue < DataType.float8E8M0FNU.rawValue }

  /// The number of bytes of one element, in a file and in memory; nil if elements vary in length.
  ///
  /// The 4-bit and 2-bit types take a whole byte each: checkpoints do not pack them.
  public var byteCount: Int? {
    switch self {
    case .string, .resource, .variant, .packed: nil
    case .uint8, .int8, .bool, .qint8, .quint8, .float8E5M2, .float8E4M3FN, .float8E4M3FNUZ,
      .float8E4M3B11FNUZ, .float8E5M2FNUZ, .int4, .uint4, .int2, .uint2, .float4E2M1FN,
      .float8E8M0FNU, .float4E2M1FNx2:
      1
    case .int16, .uint16, .qint16, .quint16, .bfloat16, .float16: 2
    case .float32, .int32, .uint32, .qint32: 4
    case .float64, .int64, .uint64, .complex64: 8
    case .complex128: 16
    }
  }

  /// The number of bytes that a change of byte order reverses: those of one part of a complex
  /// number.
  package var swappedByteCount: Int? {
    switch self {
    case .complex64, .complex128: byteCount.map { $0 / 2 }
    default: byteCount
    }
  }

  /// The name that Python's `tf.DType.name` has, such as `float32` or `float8_e5m2`.
  public var name: String {
    switch self {
    case .float8E5M2: "float8_e5m2"
    case .float8E4M3FN: "float8_e4m3fn"
    case .float8E4M3FNUZ: "float8_e4m3fnuz"
    case .float8E4M3B11FNUZ: "float8_e4m3b11fnuz"
    case .float8E5M2FNUZ: "float8_e5m2fnuz"
    case .float4E2M1FN: "float4_e2m1fn"
    case .float8E8M0FNU: "float8_e8m0fnu"
    case .float4E2M1FNx2: "float4_e2m1fn_x2"
    default: "\(self)"
    }
  }

  /// Finds the type with a name.
  ///
  /// - Parameter name: The name as the property `name` spells it; nil is returned for any other.
  public init?(name: String) {
    guard let found = DataType.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }
}
