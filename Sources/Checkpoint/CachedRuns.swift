import WarmstartKernel
import WarmstartTensorModel

extension Checkpoint {
  /// The stored bytes of a run that a piece has; 0 if that is not known.
  ///
  /// It is not known of chosen rows, of slices of strings, and of records in V1 tables, which may
  /// be compressed.
  package func byteCount(of piece: Piece, fromRun run: Int) -> Int {
    guard records == nil, piece.gather == nil else { return 0 }
    guard let slice = piece.slice else { return max(0, stored[run].byteCount) }
    guard let width = catalog.dtype(piece.tensor).byteCount,
      let count = box(ofRun: run, of: piece.tensor).intersection(slice)?.shape.elementCount
    else { return 0 }
    let (product, overflow) = count.multipliedReportingOverflow(by: width)
    return overflow ? 0 : product
  }

  /// Advises the kernel to drop runs from the page cache, but for pages that have other bytes too.
  package func dropCached(_ runs: [Int], in files: FileSet) {
    var pending: (shard: Int32, range: Range<Int>)?
    func drop() {
      guard let (shard, range) = pending,
        let position = files.position(ofShard: shard, of: shardCount)
      else { return }
      files.members[position].file.dropCached(at: range.lowerBound, byteCount: range.count)
    }
    for (run, _) in inOrderOfDisk(runs.map { ($0, 0) }) where stored[run].byteCount > 0 {
      let (shard, start) = (stored[run].shard, stored[run].offset)
      let end = start + stored[run].byteCount
      if let (last, range) = pending, last == shard, range.upperBound == start {
        // Small runs that follow one another fill pages only together.
        pending = (shard, range.lowerBound..<end)
      } else {
        drop()
        pending = (shard, start..<end)
      }
    }
    drop()
  }

  /// Advises the kernel to drop the bytes of stored runs, and what lies between them in their
  /// files.
  package func dropCached(from runs: [Int], in files: FileSet) {
    var ranges: [Int32: Range<Int>] = [:]
    for run in runs.map({ stored[$0] }) where run.byteCount > 0 {
      // A V1 record lies in its block, whose length is not known here.
      let (end, overflow) = run.offset.addingReportingOverflow(run.byteCount)
      guard run.offset >= 0, !overflow else { continue }
      let known = ranges[run.shard] ?? run.offset..<end
      ranges[run.shard] = min(known.lowerBound, run.offset)..<max(known.upperBound, end)
    }
    for (shard, range) in ranges {
      guard let position = files.position(ofShard: shard, of: shardCount) else { continue }
      files.members[position].file.dropCached(at: range.lowerBound, byteCount: range.count)
    }
  }
}
