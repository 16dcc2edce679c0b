import CWarmstartLinux
package import SystemPackage

// What the page cache has of a file. Every process that maps the file shares these pages, and the
// kernel may take them back at any time.

extension File {
  /// Reads a run into the page cache, and whole huge pages around it; waits until it is there.
  ///
  /// Where the file system has huge pages (ext4, xfs), a process that maps the run at a matching
  /// address then pays one page fault for 2 MiB. No byte is touched, so a file that shrinks
  /// meanwhile raises no SIGBUS. See `madvise(2)`, MADV_POPULATE_READ.
  ///
  /// The kernel may hold the lock of the process's mappings while it waits for the file system, so
  /// only files on file systems that always answer may be warmed up.
  ///
  /// Stops without an error at the end of a file that has become shorter, and where the file cannot
  /// be read: reading the bytes reports that.
  ///
  /// - Parameters:
  ///   - run: The bytes to read.
  ///   - byteCount: The length of the file; what lies behind it is ignored.
  package func warmUp(_ run: Range<Int>, of byteCount: Int) {
    let huge = Mapping.hugePageByteCount
    let start = run.lowerBound & ~(huge - 1)
    let end = min(run.upperBound, byteCount)
    guard start >= 0, start < end else { return }
    let (padded, overflow) = end.addingReportingOverflow(huge - 1)
    let whole = overflow ? byteCount : min(byteCount, padded & ~(huge - 1))
    _ = clinux_populate(descriptor.number, Int64(start), whole - start)
  }

  /// Whether the page cache has the byte at an offset; does not wait for the disk.
  ///
  /// Any user who can read the file gets the answer. See `readv(2)`, RWF_NOWAIT.
  ///
  /// - Throws: EOPNOTSUPP if the file system cannot say.
  package func isCached(at offset: Int) throws(Errno) -> Bool {
    try checked(clinux_is_cached(descriptor.number, Int64(offset))) == 1
  }
}
