import WarmstartKernel
package import WarmstartTensorModel

extension Checkpoint {
  /// Whether tensors of one dtype, shape and list of slices have the same stored bytes.
  ///
  /// Reads the bytes in chunks, and only if the stored lengths and checksums are equal. The lengths
  /// of strings count as bytes. Tensors of a V1 checkpoint, and views with steps, are not compared:
  /// the result is false.
  ///
  /// - Parameters:
  ///   - checkIn: Throws if no client waits for the result any more; called between chunks.
  /// - Throws: What is wrong if a file lacks bytes of a tensor, or if bytes differ because they are
  ///   damaged.
  package func areEqual(
    _ tensors: [Int], in files: FileSet, checkIn: @escaping () throws(Problem) -> Void
  ) throws(Problem) -> Bool {
    guard records == nil, let first = tensors.first else { return false }
    let runs = storedRange(first)
    for other in tensors.dropFirst() {
      let others = storedRange(other)
      guard runs.count == others.count, zip(runs, others).allSatisfy({ isAlike($0, $1) })
      else { return false }
    }
    guard tensors.allSatisfy({ steps(of: $0) == nil && isBigEndian($0) == isBigEndian(first) })
    else { return false }
    for tensor in tensors {
      for run in storedRange(tensor) { try expectReadable(run, of: tensor, in: files) }
    }
    var reader = RunReader(self, files, checkIn: checkIn)
    var otherReader = RunReader(self, files, checkIn: checkIn)
    var compared: [(run: Int, tensor: Int)] = []
    for other in tensors.dropFirst() {
      for pair in zip(runs, storedRange(other)) where stored[pair.0] != stored[pair.1] {
        let pair = [(run: pair.0, tensor: first), (run: pair.1, tensor: other)]
        guard try reader.hasSameBytes(pair[0], as: pair[1], &otherReader) else {
          // The checksums are equal and the bytes differ: most likely one of them is damaged.
          var none = Arena()
          var loading = Loading(self, files, checkIn: checkIn)
          try loading.load(verifying: pair, filling: [], of: &none)
          return false
        }
        compared += pair
      }
    }
    try reader.expectFilesUnchanged(compared)
    return true
  }

  /// Whether two runs may have the same bytes according to the index.
  private func isAlike(_ run: Int, _ other: Int) -> Bool {
    stored[run].byteCount == stored[other].byteCount
      && stored[run].checksum == stored[other].checksum
  }
}

extension RunReader {
  /// Compares two stored runs of one length; `other` reads the second.
  fileprivate mutating func hasSameBytes(
    _ run: (run: Int, tensor: Int), as second: (run: Int, tensor: Int), _ other: inout RunReader
  ) throws(Problem) -> Bool {
    let (stored, secondStored) = (checkpoint.stored[run.run], checkpoint.stored[second.run])
    reserveBuffer(stored.byteCount)
    other.reserveBuffer(stored.byteCount)
    var done = 0
    while done < stored.byteCount {
      try checkIn()
      let count = min(buffer.count, other.buffer.count, stored.byteCount - done)
      try read(stored, of: run.tensor, from: done, count: count)
      try other.read(secondStored, of: second.tensor, from: done, count: count)
      let isEqual = buffer.rawSpan.extracting(0..<count)
        .equals(other.buffer.rawSpan.extracting(0..<count))
      guard isEqual else { return false }
      done += count
    }
    return true
  }
}
