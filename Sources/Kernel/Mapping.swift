import CWarmstartLinux
package import SystemPackage

/// A run of a file's bytes in this process's memory, to be read, and unmapped when the last copy of
/// this value ends.
///
/// The run may start at any offset and may be empty. If the file's owner truncates it, touching a
/// page past the new end raises SIGBUS, so the daemon touches no mapping of a file that its owner
/// can truncate. See `mmap(2)`.
@safe
package struct Mapping: Sendable {
  private let pages: Pages
  private let lead: Int
  /// The length of the run in bytes.
  package let byteCount: Int

  /// Maps nothing.
  package init() {
    pages = unsafe Pages(nil, byteCount: 0)
    (lead, byteCount) = (0, 0)
  }

  /// Maps a run of a file; throws EINVAL for one that no file can have.
  package init(
    _ descriptor: borrowing Descriptor, offset: Int, byteCount: Int
  ) throws(Errno) {
    try self.init(descriptor, offset: offset, byteCount: byteCount, isWritable: false)
  }

  fileprivate init(
    _ descriptor: borrowing Descriptor, offset: Int, byteCount: Int, isWritable: Bool
  ) throws(Errno) {
    guard offset >= 0, byteCount >= 0 else { throw .invalidArgument }
    let lead = offset & (Mapping.pageByteCount - 1)
    let (count, overflow) = byteCount.addingReportingOverflow(lead)
    guard !overflow else { throw .invalidArgument }
    var address: UnsafeMutableRawPointer?
    if byteCount > 0 {
      _ = try checked(
        unsafe clinux_map(
          descriptor.number, Int64(offset - lead), count, isWritable ? 1 : 0, isWritable ? 0 : 1,
          &address))
    }
    pages = unsafe Pages(address, byteCount: count)
    self.lead = lead
    self.byteCount = byteCount
  }

  /// Reads the run's pages, and keeps them in memory as long as the mapping; waits for the disk.
  ///
  /// This does not touch the mapping: where the file was truncated meanwhile, it throws. See
  /// `mlock(2)`.
  package func lock() throws(Errno) {
    guard let base = unsafe pages.base else { return }
    _ = try checked(unsafe clinux_lock(base, lead + byteCount))
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

  /// Bytes of the run; they live as long as `owner`.
  ///
  /// The owner must keep this mapping as long as it lives: a constant of it refers to an object,
  /// which has the mapping in a constant. Traps if the range is out of bounds.
  @_lifetime(borrow owner)
  package func bytes<Owner: ~Copyable>(_ range: Range<Int>, keptBy owner: borrowing Owner)
    -> RawSpan
  {
    let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(run(range)))
    return unsafe _overrideLifetime(span, borrowing: owner)
  }

  /// Where the bytes are, as those of a region that begins at `start` and has them from there on.
  package func place(from start: Int) -> MappedPlace {
    let base = unsafe pages.base.map { unsafe UnsafeRawPointer($0 + lead) }
    return unsafe MappedPlace(base: base, start: start, end: start + byteCount)
  }

  /// Elements of the run, as above; traps unless they are whole and aligned for their type.
  @_lifetime(borrow owner)
  package func elements<Element: BitwiseCopyable, Owner: ~Copyable>(
    _ range: Range<Int>, as type: Element.Type, keptBy owner: borrowing Owner
  ) -> Span<Element> {
    let span = unsafe Span<Element>(_unsafeBytes: UnsafeRawBufferPointer(run(range)))
    return unsafe _overrideLifetime(span, borrowing: owner)
  }

  fileprivate func run(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    // No elements need no address, which might not be aligned for their type.
    guard !range.isEmpty else { return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    return unsafe UnsafeMutableRawBufferPointer(
      start: pages.base.map { unsafe $0 + lead + range.lowerBound }, count: range.count)
  }

  /// The size of a page on x86-64 and on the arm64 kernels in use.
  ///
  /// On a kernel with larger pages, mmap refuses offsets that are no multiple of its own.
  package static let pageByteCount = 4096

  /// The size of a huge page on x86-64, and on arm64 with pages of 4 KiB.
  ///
  /// Longer runs are mapped at addresses that have their offset's place in a huge page, because
  /// only there the processor can use the huge pages that the file or arena has.
  package static let hugePageByteCount = 2 << 20
}

/// Where a mapping's bytes are, for a value that keeps the mapping in another constant.
///
/// A copy counts no reference, which would cost more than all else when many tensors are looked at.
@safe
@usableFromInline package struct MappedPlace: @unchecked Sendable, BitwiseCopyable {
  // Never changes; nil for no bytes.
  @usableFromInline let base: UnsafeRawPointer?
  // The bytes of the region that are mapped.
  @usableFromInline let start: Int
  @usableFromInline let end: Int

  fileprivate init(base: UnsafeRawPointer?, start: Int, end: Int) {
    unsafe self.base = base
    self.start = start
    self.end = end
  }

  /// Bytes of the region; they live as long as `owner`.
  ///
  /// The owner must keep the mapping as long as it lives: a constant of it refers to an object,
  /// which has the mapping in a constant. An empty range may lie anywhere; traps if another one is
  /// not mapped.
  @inlinable
  @_lifetime(borrow owner)
  package func bytes<Owner: ~Copyable>(
    _ range: Range<Int>, keptBy owner: borrowing Owner
  ) -> RawSpan {
    precondition(range.isEmpty || range.lowerBound >= start && range.upperBound <= end)
    var address: UnsafeRawPointer?
    if !range.isEmpty, let base = unsafe base { unsafe address = base + (range.lowerBound - start) }
    let span = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(start: address, count: range.count))
    return unsafe _overrideLifetime(span, borrowing: owner)
  }
}

/// A run of a file's bytes that its one owner may also write: what is written is this process's own
/// copy, page by page, which neither the file nor another mapping has.
///
/// See `mmap(2)`, MAP_PRIVATE.
@safe
package struct WritableMapping: ~Copyable, Sendable {
  private let mapping: Mapping

  /// Maps `byteCount` bytes from the offset on.
  package init(
    _ descriptor: borrowing Descriptor, offset: Int, byteCount: Int
  ) throws(Errno) {
    mapping = try Mapping(descriptor, offset: offset, byteCount: byteCount, isWritable: true)
  }

  /// The bytes of the run.
  package var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { mapping.bytes(0..<mapping.byteCount, keptBy: self) }
  }

  /// The bytes of the run, to be written.
  package var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      // Only this value refers to the mapping, and it is borrowed as long as the span lives.
      let span = unsafe MutableRawSpan(_unsafeBytes: mapping.run(0..<mapping.byteCount))
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// The elements of the run; traps unless they are whole and aligned for their type.
  @_lifetime(borrow self)
  package borrowing func elements<Element: BitwiseCopyable>(
    as type: Element.Type
  ) -> Span<Element> {
    mapping.elements(0..<mapping.byteCount, as: type, keptBy: self)
  }

  /// The elements of the run, to be written; traps unless they are whole and aligned for their
  /// type.
  @_lifetime(&self)
  package mutating func mutableElements<Element: BitwiseCopyable>(
    as type: Element.Type
  ) -> MutableSpan<Element> {
    // As for `mutableBytes`.
    let span = unsafe MutableSpan<Element>(_unsafeBytes: mapping.run(0..<mapping.byteCount))
    return unsafe _overrideLifetime(span, mutating: &self)
  }
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
