import WarmstartTensorModel

/// A name that is not a dtype's, and the dtype that the user probably meant.
struct DTypeName {
  private let text: String

  init(_ text: String) {
    self.text = text
  }

  /// Other names of dtypes; TensorFlow's prefix `dt_` in protobuf is handled below.
  private static let aliases: [String: DataType] = [
    "float": .float32, "single": .float32, "f32": .float32, "fp32": .float32,
    "double": .float64, "f64": .float64, "fp64": .float64,
    "half": .float16, "f16": .float16, "fp16": .float16, "bf16": .bfloat16,
    "float8_e4m3": .float8E4M3FN, "fp8_e4m3": .float8E4M3FN, "fp8_e5m2": .float8E5M2,
    "i16": .int16, "i32": .int32, "i64": .int64, "int": .int32, "long": .int64,
    "u16": .uint16, "u32": .uint32, "u64": .uint64, "byte": .uint8,
    "bool_": .bool, "boolean": .bool, "str": .string, "bytes": .string, "object": .string,
  ]

  /// The message about the name, with what to write instead.
  var fault: String {
    // The last word decides in `tf.float32`, `<dtype: 'float32'>` and `<class 'numpy.float32'>`.
    let word = text.lowercased().split { !($0.isLetter || $0.isNumber || $0 == "_") }.last ?? ""
    if word.hasSuffix("_ref"), let dtype = DTypeName.dtype(word.dropLast(4)) {
      return "\"\(text)\" is TensorFlow 1's reference form of \(dtype.name): write \(dtype.name)"
    }
    if let dtype = DTypeName.dtype(word) ?? DTypeName.nearest(word) {
      return "unknown dtype \"\(text)\"; did you mean \(dtype.name)?"
    }
    return "unknown dtype \"\(text)\", expected one of TensorFlow's names, such as float32"
  }

  private static func dtype(_ word: Substring) -> DataType? {
    let word = String(word.hasPrefix("dt_") ? word.dropFirst(3) : word)
    return DataType(name: word) ?? aliases[word]
  }

  private static func nearest(_ word: Substring) -> DataType? {
    var nearest = NearestNames(to: Name(word))
    for dtype in DataType.allCases where dtype.byteCount != nil || dtype == .string {
      nearest.offer(Name(dtype.name))
    }
    return nearest.names.first.flatMap { name in
      DataType.allCases.first { Name($0.name) == name }
    }
  }
}
