import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// Reads any bytes as an HDF5 file, and looks where the tensors are that it lists.
func fuzzHDF5(_ bytes: [UInt8]) {
  let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
  let bytes = signature + bytes.dropFirst(signature.count)
  let files = files(of: bytes)
  var reserved = 0
  guard
    let checkpoint = try? Checkpoint.read(files, reserving: { reserved = max(reserved, $0) })
  else { return }
  check(checkpoint.memoryByteCount <= reserved, "no more than was reserved")
  let catalog = checkpoint.catalog
  for tensor in 0..<catalog.count {
    check(catalog.position(of: catalog.name(tensor)) == tensor, "each tensor found by its name")
    let run = checkpoint.stored[checkpoint.storedRange(tensor).lowerBound]
    check(
      run.offset >= 0 && run.byteCount >= 0 && run.byteCount <= bytes.count - run.offset,
      "bytes in the file")
    let width = catalog.dtype(tensor).byteCount ?? 0
    check(catalog.shape(tensor).elementCount == run.byteCount / width, "bytes for each element")
  }
}
