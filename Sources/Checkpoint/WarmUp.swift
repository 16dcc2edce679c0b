import WarmstartKernel

/// Brings a stretch of a file into the page cache in huge pages, window by window, as it is read.
///
/// The kernel's own read-ahead makes pages as large as the host's settings for the disk allow: with
/// the usual 128 KiB, a client that touches a file pays a page fault for each 64 KiB. A window that
/// the page cache has already is left as it is.
struct WarmUp {
  /// The bytes that are brought in at a time: four huge pages; chosen, not tuned.
  private static let windowByteCount = 4 * Mapping.hugePageByteCount

  private let stretch: Range<Int>
  private var end: Int

  /// Prepares to warm up a stretch.
  init(_ stretch: Range<Int>) {
    self.stretch = stretch
    end = stretch.lowerBound
  }

  /// Brings in what is missing up to an offset, in whole windows; waits until it is there.
  mutating func reach(_ offset: Int, of member: FileSet.Member) {
    let size = member.status.size
    let limit = min(stretch.upperBound, size)
    while end < min(offset, limit) {
      // From a huge page's start on, except for the first window.
      let (next, overflow) = (end & ~(Mapping.hugePageByteCount - 1))
        .addingReportingOverflow(Self.windowByteCount)
      let window = end..<(overflow ? limit : min(limit, next))
      end = window.upperBound
      guard WarmUp.misses(window, member.file) else { continue }
      member.file.warmUp(window, of: size)
    }
  }

  /// Brings in the first window, as `reach` does.
  mutating func reachFirstWindow(of member: FileSet.Member) {
    reach(stretch.lowerBound + min(stretch.count, Self.windowByteCount), of: member)
  }

  /// Whether the page cache lacks a part of a window; false if the file system does not say.
  private static func misses(_ window: Range<Int>, _ file: File) -> Bool {
    stride(from: window.lowerBound, to: window.upperBound, by: Mapping.hugePageByteCount)
      .contains { offset in (try? file.isCached(at: offset)) == false }
      || (try? file.isCached(at: window.upperBound - 1)) == false
  }
}
