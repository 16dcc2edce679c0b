/// Reads any bytes as an HDF5 file, then each tensor, twice.
func fuzzHDF5(_ bytes: [UInt8]) {
  let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
  readWholeFile(signature + bytes.dropFirst(signature.count))
}
