import CLinux
package import SystemPackage

/// A run of a file's bytes in this process's memory, unmapped when the value ends.
///
/// The run may start anywhere; pages around it are mapped as needed. A mapping of a file that
/// somebody can truncate raises SIGBUS when touched past the new end: the daemon makes none.
/// See `mmap(2)`.
@safe
package struct Mapping: ~Copyable, Sendable {
  /// What the holder may do with the bytes.
  package enum Access: Sendable {
    /// Read them.
    case readOnly
    /// Read and write them; what is written is this process's own copy, page by page.
    case copyOnWrite
  }

  private nonisolated(unsafe) let base: UnsafeMutableRawPointer
  private let mappedCount: Int
  private let lead: Int
  /// The number of bytes of the run.
  package let byteCount: Int

  /// Maps `byteCount` bytes, at least one, from the offset on.
  package init(
    _ descriptor: borrowing Descriptor, offset: Int, byteCount: Int, access: Access
  ) throws(Errno) {
    guard offset >= 0, byteCount > 0 else { throw .invalidArgument }
    let lead = offset & (Mapping.pageByteCount - 1)
    let (count, overflow) = byteCount.addingReportingOverflow(lead)
    guard !overflow else { throw .invalidArgument }
    var address: UnsafeMutableRawPointer?
    _ = try checked(
      unsafe clinux_map(
        descriptor.number, Int64(offset - lead), count, access == .copyOnWrite ? 1 : 0,
        access == .copyOnWrite ? 0 : 1, &address))
    guard let address = unsafe address else { throw .noMemory }
    unsafe self.init(address, mappedCount: count, lead: lead, byteCount: byteCount)
  }

  private init(
    _ base: UnsafeMutableRawPointer, mappedCount: Int, lead: Int, byteCount: Int
  ) {
    unsafe self.base = base
    self.mappedCount = mappedCount
    self.lead = lead
    self.byteCount = byteCount
  }

  deinit {
    precondition(unsafe clinux_unmap(base, mappedCount) == 0)
  }

  /// The bytes; they live as long as the mapping.
  package var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      // The mapping holds these pages until `self` ends, which the span may not outlive.
      let span = unsafe RawSpan(
        _unsafeBytes: UnsafeRawBufferPointer(start: base + lead, count: byteCount))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The address of the first byte.
  package var address: UnsafeMutableRawPointer { unsafe base + lead }

  /// x86-64 and the arm64 kernels in use; a larger page only moves `lead`, mmap then refuses.
  package static let pageByteCount = 4096
}
