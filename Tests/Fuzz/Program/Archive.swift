/// Reads any bytes as a zip archive of PyTorch or NumPy, or as an array of NumPy.
func fuzzArchive(_ bytes: [UInt8]) {
  readWholeFile(bytes)
}

/// Reads any bytes as the pickle of a PyTorch file with three storages.
func fuzzPickle(_ bytes: [UInt8]) {
  let storages = [96, 16, 0].enumerated().map { key, byteCount in
    (name: "m/data/\(key)", bytes: [UInt8](repeating: 1, count: byteCount))
  }
  readWholeFile(archive([("m/data.pkl", bytes)] + storages))
}

/// An archive of stored entries.
private func archive(_ entries: [(name: String, bytes: [UInt8])]) -> [UInt8] {
  func number(_ number: Int, _ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
  }
  var (archive, directory): ([UInt8], [UInt8]) = ([], [])
  for (name, bytes) in entries {
    let (name, offset) = (Array(name.utf8), archive.count)
    let lengths = number(bytes.count, 4) + number(bytes.count, 4) + number(name.count, 2)
    archive += [0x50, 0x4b, 3, 4] + number(20, 2) + number(0, 12) + lengths + number(0, 2)
    archive += name + bytes
    directory += [0x50, 0x4b, 1, 2] + number(20, 2) + number(20, 2) + number(0, 12) + lengths
    directory += number(0, 12) + number(offset, 4) + name
  }
  let offset = archive.count
  archive += directory + [0x50, 0x4b, 5, 6] + number(0, 4) + number(entries.count, 2)
  archive += number(entries.count, 2) + number(directory.count, 4) + number(offset, 4)
  return archive + number(0, 2)
}
