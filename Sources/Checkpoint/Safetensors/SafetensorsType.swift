import WarmstartTensorModel

/// The element types of safetensors 0.8, by their names in headers.
enum SafetensorsType: String, CaseIterable {
  case bool = "BOOL"
  case uint8 = "U8"
  case int8 = "I8"
  case uint16 = "U16"
  case int16 = "I16"
  case uint32 = "U32"
  case int32 = "I32"
  case uint64 = "U64"
  case int64 = "I64"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case float32 = "F32"
  case float64 = "F64"
  case complex64 = "C64"
  case float8E5M2 = "F8_E5M2"
  case float8E4M3 = "F8_E4M3"
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  case float8E8M0 = "F8_E8M0"
  case float4 = "F4"
  case float6E2M3 = "F6_E2M3"
  case float6E3M2 = "F6_E3M2"

  /// The length of an element in the file, in bits.
  var bitCount: Int {
    switch self {
    case .float4: 4
    case .float6E2M3, .float6E3M2: 6
    case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E5M2FNUZ, .float8E4M3FNUZ,
      .float8E8M0:
      8
    case .uint16, .int16, .float16, .bfloat16: 16
    case .uint32, .int32, .float32: 32
    case .uint64, .int64, .float64, .complex64: 64
    }
  }

  /// The type that a tensor of this type and a shape has in memory.
  ///
  /// Two elements of four bits are one element in memory, so the last axis is half as long there. A
  /// tensor whose last axis has an odd length has no such form.
  func stored(_ shape: Shape) -> (dtype: DataType, isHalved: Bool) {
    switch self {
    case .bool: (.bool, false)
    case .uint8: (.uint8, false)
    case .int8: (.int8, false)
    case .uint16: (.uint16, false)
    case .int16: (.int16, false)
    case .uint32: (.uint32, false)
    case .int32: (.int32, false)
    case .uint64: (.uint64, false)
    case .int64: (.int64, false)
    case .float16: (.float16, false)
    case .bfloat16: (.bfloat16, false)
    case .float32: (.float32, false)
    case .float64: (.float64, false)
    case .complex64: (.complex64, false)
    case .float8E5M2: (.float8E5M2, false)
    case .float8E4M3: (.float8E4M3FN, false)
    case .float8E5M2FNUZ: (.float8E5M2FNUZ, false)
    case .float8E4M3FNUZ: (.float8E4M3FNUZ, false)
    case .float8E8M0: (.float8E8M0FNU, false)
    case .float4:
      if let last = shape.lengths.last, last % 2 == 0 {
        (.float4E2M1FNx2, true)
      } else {
        (.packed, false)
      }
    case .float6E2M3, .float6E3M2: (.packed, false)
    }
  }
}
