import CWarmstartLinux
package import SystemPackage

/// A run of a file's bytes in this process's memory, unmapped after the last reference to it.
///
/// The run may start anywhere and may be empty; pages around it are mapped as needed. A mapping of a
/// file that somebody can truncate raises SIGBUS when touched past the new end: the daemon makes
/// none. See `mmap(2)`.
@safe
package struct Mapping: Sendable {
  /// What the holder may do with the bytes.
  package enum Access: Sendable {
    /// Read them.
    case readOnly
    /// Read and write them; what is written is this process's own copy, page by page.
    case copyOnWrite
  }

  private let pages: Pages
  private let lead: Int
  /// The number of bytes of the run.
  package let byteCount: Int
  package let access: Access

  /// Maps nothing.
  package init() {
    pages = unsafe Pages(nil, byteCount: 0)
    (lead, byteCount, access) = (0, 0, .readOnly)
  }

  /// Maps `byteCount` bytes from the offset on.
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

  /// Bytes of the run; they live as long as the mapping.
  ///
  /// Traps if the range is out of bounds.
  @_lifetime(borrow self)
  package borrowing func bytes(_ range: Range<Int>) -> RawSpan {
    // The mapping holds these pages until `self` ends, which the span may not outlive.
    let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(run(range)))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Elements of the run, which must be whole and aligned for their type; traps if they are not.
  @_lifetime(borrow self)
  package borrowing func elements<Element: BitwiseCopyable>(
    _ range: Range<Int>, as type: Element.Type
  ) -> Span<Element> {
    let span = unsafe Span<Element>(_unsafeBytes: UnsafeRawBufferPointer(run(range)))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Lets the body write bytes of a copy-on-write run; nobody may read them meanwhile.
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

  /// x86-64 and the arm64 kernels in use; mmap refuses an offset that is not a multiple of a larger one.
  package static let pageByteCount = 4096
}

/// Mapped pages, which copies of a mapping share.
@safe
private final class Pages: Sendable {
  // Set once; nil if there are none.
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
