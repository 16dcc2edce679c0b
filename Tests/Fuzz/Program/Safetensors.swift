/// Reads any bytes as the header of a safetensors file whose tensors have 96 bytes together.
func fuzzSafetensors(_ bytes: [UInt8]) {
  let length = (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) }
  readWholeFile(length + bytes + [UInt8](repeating: 1, count: 96))
}
