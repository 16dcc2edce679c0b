import CWarmstartLinux
package import SystemPackage

/// A run of a file's bytes in this process's memory, unmapped when the last copy of this value
/// ends.
///
/// The run may start at any offset and may be empty. If the file's owner truncates it, touching a
/// page past the new end raises SIGBUS, so the daemon maps no file that its owner can truncate. See
/// `mmap(2)`.
@safe
package struct Mapping: Sendable {
  /// What the holder may do with the bytes.
  package enum Access: Sendable {
    /// Read the bytes.
    case readOnly
    /// Read and write the bytes; the first write to a page makes a copy for this process.
    case copyOnWrite
  }

  private let pages: Pages
  private let lead: Int
  /// The length of the run in bytes.
  package let byteCount: Int
  /// What the holder may do with the bytes.
  package let access: Access

  /// Maps nothing.
  package init() {
    pages = unsafe Pages(nil, byteCount: 0)
    (lead, byteCount, access) = (0, 0, .readOnly)
  }

  /// Maps a run of a file; throws EINVAL for one that no file can have.
  package init(
    _ descriptor: borrowing Descriptor, offset: Int, byteCount: Int, access: Access
  ) throws(Errno) {
    guard offset >= 0, byteCount >= 0 else { throw .invalidArgument }
    let lead = offset & (Mapping.pageByteCount - 1)
    let (count, overflow) = byteCount.addingReportingOverflow(lead)
    guard !overflow else { throw .invalidArgument }
    var address: UnsafeMutableRawPointer?
    if byteCount > 0 {
      _ = try checked(
        unsafe clinux_map(
          descriptor.number, Int64(offset - lead), count, access == .copyOnWrite ? 1 : 0,
          access == .copyOnWrite ? 0 : 1, &address))
    }
    pages = unsafe Pages(address, byteCount: count)
    self.lead = lead
    self.byteCount = byteCount
    self.access = access
  }

  /// Bytes of the run, valid as long as the mapping.
  ///
  /// Traps if the range is out of bounds.
  @_lifetime(borrow self)
  package borrowing func bytes(_ range: Range<Int>) -> RawSpan {
    // The mapping keeps these pages until `self` ends, and the span may not outlive it.
    let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(run(range)))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Elements of the run, valid as long as the mapping.
  ///
  /// Traps if the range is out of bounds, not aligned for the type or no multiple of its size.
  @_lifetime(borrow self)
  package borrowing func elements<Element: BitwiseCopyable>(
    _ range: Range<Int>, as type: Element.Type
  ) -> Span<Element> {
    let span = unsafe Span<Element>(_unsafeBytes: UnsafeRawBufferPointer(run(range)))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Lets the body write bytes of a copy-on-write run, which no other thread may read meanwhile.
  package func withMutableBytes<Result>(
    _ range: Range<Int>, _ body: (inout MutableRawSpan) -> Result
  ) -> Result {
    precondition(access == .copyOnWrite)
    var span = unsafe MutableRawSpan(_unsafeBytes: run(range))
    return body(&span)
  }

  private func run(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    return unsafe UnsafeMutableRawBufferPointer(
      start: pages.base.map { unsafe $0 + lead + range.lowerBound }, count: range.count)
  }

  /// The size of a page on x86-64 and on the arm64 kernels in use.
  ///
  /// On a kernel with larger pages, mmap refuses offsets that are no multiple of its own.
  package static let pageByteCount = 4096
}

/// The pages that copies of a mapping share.
@safe
private final class Pages: Sendable {
  // Never changes; nil for no pages.
  nonisolated(unsafe) let base: UnsafeMutableRawPointer?
  private let byteCount: Int

  init(_ base: UnsafeMutableRawPointer?, byteCount: Int) {
    unsafe self.base = base
    self.byteCount = byteCount
  }

  deinit {
    guard let base = unsafe base else { return }
    precondition(unsafe clinux_unmap(base, byteCount) == 0)
  }
}
