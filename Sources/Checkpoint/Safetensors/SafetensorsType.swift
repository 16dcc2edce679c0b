import WarmstartTensorModel

/// The element types of safetensors 0.8, by their names in headers.
enum SafetensorsType: String, CaseIterable {
  case BOOL, U8, I8, U16, I16, U32, I32, U64, I64
  case F16, BF16, F32, F64, C64
  case F8_E5M2, F8_E4M3, F8_E5M2FNUZ, F8_E4M3FNUZ, F8_E8M0
  case F4, F6_E2M3, F6_E3M2

  /// The length of an element in the file, in bits.
  var bitCount: Int {
    switch self {
    case .F4: 4
    case .F6_E2M3, .F6_E3M2: 6
    case .BOOL, .U8, .I8, .F8_E5M2, .F8_E4M3, .F8_E5M2FNUZ, .F8_E4M3FNUZ, .F8_E8M0: 8
    case .U16, .I16, .F16, .BF16: 16
    case .U32, .I32, .F32: 32
    case .U64, .I64, .F64, .C64: 64
    }
  }

  /// The type that a tensor of this type and a shape has in memory.
  ///
  /// Two elements of four bits are one element in memory, so the last axis is half as long there. A
  /// tensor whose last axis has an odd length has no such form.
  func stored(_ shape: Shape) -> (dtype: DataType, isHalved: Bool) {
    switch self {
    case .BOOL: (.bool, false)
    case .U8: (.uint8, false)
    case .I8: (.int8, false)
    case .U16: (.uint16, false)
    case .I16: (.int16, false)
    case .U32: (.uint32, false)
    case .I32: (.int32, false)
    case .U64: (.uint64, false)
    case .I64: (.int64, false)
    case .F16: (.float16, false)
    case .BF16: (.bfloat16, false)
    case .F32: (.float32, false)
    case .F64: (.float64, false)
    case .C64: (.complex64, false)
    case .F8_E5M2: (.float8E5M2, false)
    case .F8_E4M3: (.float8E4M3FN, false)
    case .F8_E5M2FNUZ: (.float8E5M2FNUZ, false)
    case .F8_E4M3FNUZ: (.float8E4M3FNUZ, false)
    case .F8_E8M0: (.float8E8M0FNU, false)
    case .F4:
      if let last = shape.lengths.last, last % 2 == 0 {
        (.float4E2M1FNx2, true)
      } else {
        (.packed, false)
      }
    case .F6_E2M3, .F6_E3M2: (.packed, false)
    }
  }
}
