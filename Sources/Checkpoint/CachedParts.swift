import WarmstartKernel

// Parts of a checkpoint's files that the page cache should have: how much of them it has now, and
// how to bring them back.

/// A run of one of a checkpoint's files.
package struct FilePart: Sendable, Hashable {
  /// The position of the file among the members.
  package let position: Int
  /// The bytes, which lay in the file when the client passed it.
  package let range: Range<Int>

  /// The part in steps of at most a number of bytes.
  package func steps(of byteCount: Int) -> [FilePart] {
    stride(from: range.lowerBound, to: range.upperBound, by: byteCount).map { start in
      let end = start + min(byteCount, range.upperBound - start)
      return FilePart(position: position, range: start..<end)
    }
  }
}

extension Checkpoint {
  /// The longest gap between two runs that are in one part.
  private static let partGapByteCount = Mapping.pageByteCount

  /// The parts of the files that runs take, in the order of the disk; neighbours are one part.
  ///
  /// Of V1 tables, whose runs are parts of compressed blocks, each table that has one of the runs.
  package func parts(of runs: [Int], in files: FileSet) -> [FilePart] {
    guard records == nil else { return tables(of: runs, in: files) }
    var parts: [FilePart] = []
    for (run, _) in inOrderOfDisk(runs.map { ($0, 0) }) where stored[run].byteCount > 0 {
      let (start, shard) = (stored[run].offset, stored[run].shard)
      let (sum, overflow) = start.addingReportingOverflow(stored[run].byteCount)
      guard start >= 0, !overflow, let position = files.position(ofShard: shard, of: shardCount)
      else { continue }
      let end = min(sum, files.members[position].status.size)
      guard start < end else { continue }
      if let last = parts.last, last.position == position,
        start - last.range.upperBound <= Self.partGapByteCount
      {
        let range = last.range.lowerBound..<max(last.range.upperBound, end)
        parts[parts.count - 1] = FilePart(position: position, range: range)
      } else {
        parts.append(FilePart(position: position, range: start..<end))
      }
    }
    return parts
  }

  private func tables(of runs: [Int], in files: FileSet) -> [FilePart] {
    Set(runs.map { stored[$0].shard }).sorted().compactMap { shard in
      guard let position = files.position(ofShard: shard, of: shardCount) else { return nil }
      return FilePart(position: position, range: 0..<files.members[position].status.size)
    }
  }
}

extension FileSet {
  /// The most bytes of files that are looked at, and the shortest step between them.
  private static let maximumLookCount = 4096
  private static let minimumStepByteCount = 64 << 10

  /// How many bytes of the parts the page cache has, and how many the parts have; nil if a file
  /// system does not say.
  ///
  /// Looks at one byte in each 64 KiB, or at 4,096 bytes of more than 256 MiB, and waits for no
  /// disk: the first number is an estimate.
  package func cachedByteCount(of parts: [FilePart]) -> (cached: Int, all: Int)? {
    let total = parts.reduce(0) { sum, part in
      let (sum, overflow) = sum.addingReportingOverflow(part.range.count)
      return overflow ? .max : sum
    }
    let step = max(Self.minimumStepByteCount, total / Self.maximumLookCount + 1)
    var (lookCount, cachedCount) = (0, 0)
    // The bytes from the start of a part to the next look: short parts share looks.
    var lead = 0
    for part in parts {
      let file = members[part.position].file
      var start = part.range.lowerBound
      while lead < part.range.upperBound - start {
        start += lead
        guard let isCached = try? file.isCached(at: start) else { return nil }
        lookCount += 1
        if isCached { cachedCount += 1 }
        lead = step
      }
      lead -= part.range.upperBound - start
    }
    guard cachedCount < lookCount else { return (total, total) }
    return (Int(Double(total) * (Double(cachedCount) / Double(lookCount))), total)
  }

  /// Brings what is missing of a part into the page cache, and waits until it is there.
  ///
  /// Does nothing on file systems that a user can run.
  package func warmUp(_ part: FilePart) {
    guard generation.isShared else { return }
    var warmUp = WarmUp(part.range)
    warmUp.reach(part.range.upperBound, of: members[part.position])
  }
}
