import CLinux
package import SystemPackage

/// Anonymous memory that the daemon fills and then seals for clients to map.
///
/// Filling needs an `Arena`, sending a `SealedArena`, and sealing consumes the former: bytes written
/// after sealing cannot be spelled. See `memfd_create(2)`.
@safe
package struct Arena: ~Copyable, Sendable {
  /// What memory is handed out in.
  package static let pageByteCount = 4096

  private let descriptor: Descriptor
  private let view: WritableView
  /// The length in bytes.
  package let byteCount: Int

  /// Makes an arena of zeros, at least one byte, and reserves its memory.
  package init(named name: String, byteCount: Int) throws(Errno) {
    guard byteCount > 0 else { throw .invalidArgument }
    // The kernel would try, and kill for want of memory rather than refuse.
    guard byteCount <= Process.physicalByteCount else { throw .noMemory }
    let number = try checked(unsafe name.withCString { unsafe clinux_memfd($0) })
    let descriptor = Descriptor(adopting: number)
    _ = try checked(clinux_reserve(number, Int64(byteCount)))
    let view = try WritableView(number, byteCount: byteCount)
    self.init(descriptor, view, byteCount: byteCount)
  }

  private init(_ descriptor: consuming Descriptor, _ view: WritableView, byteCount: Int) {
    self.descriptor = descriptor
    self.view = view
    self.byteCount = byteCount
  }

  /// The bytes, to be filled.
  package var bytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      // The view keeps these pages until the arena is sealed, which needs the arena itself.
      let span = unsafe MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(start: view.base, count: byteCount))
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// Ends writing for good: no one can change, shrink or grow the bytes from here on, root included.
  package consuming func seal() throws(Errno) -> SealedArena {
    // F_SEAL_WRITE is EBUSY while a writable mapping lives.
    view.unmap()
    _ = try checked(clinux_seal(descriptor.number))
    // A read-only description: kernels before 6.7 refuse to map a sealed one that may write.
    let reopened = try checked(clinux_reopen(descriptor.number))
    return SealedArena(File(Descriptor(adopting: reopened)), byteCount: byteCount)
  }
}

/// The writable mapping of an arena, which must end before the arena can be sealed.
@safe
private final class WritableView: Sendable {
  nonisolated(unsafe) let base: UnsafeMutableRawPointer
  private let byteCount: Int
  private let isMapped = Monitor(true)

  init(_ number: CInt, byteCount: Int) throws(Errno) {
    var address: UnsafeMutableRawPointer?
    _ = try checked(unsafe clinux_map(number, 0, byteCount, 1, 1, &address))
    guard let address = unsafe address else { throw .noMemory }
    unsafe base = address
    self.byteCount = byteCount
  }

  func unmap() {
    isMapped.withLock { isMapped in
      guard isMapped else { return }
      precondition(unsafe clinux_unmap(base, byteCount) == 0)
      isMapped = false
    }
  }

  deinit {
    unmap()
  }
}

/// An arena that can no longer change: what clients are given.
package final class SealedArena: Sendable {
  private let file: File
  /// The length in bytes.
  package let byteCount: Int

  init(_ file: File, byteCount: Int) {
    self.file = file
    self.byteCount = byteCount
  }

  /// Opens the arena anew, read-only, for one client: no file description is shared.
  package func open() throws(Errno) -> Descriptor {
    Descriptor(adopting: try checked(clinux_reopen(file.descriptor.number)))
  }

  /// Reads a run of the bytes; the range must lie in the arena.
  package func read(at offset: Int, into buffer: inout MutableRawSpan) throws(Errno) {
    let count = try file.read(at: offset, into: &buffer)
    guard count == buffer.byteCount else { throw .invalidArgument }
  }

  /// Whether anybody but this value has the arena open, mapped or on the way through a socket.
  ///
  /// False if the kernel does not tell. See `fcntl(2)`, F_SETLEASE: a write lease is refused while the
  /// file is open more than once.
  package var isHeldElsewhere: Bool { clinux_is_held_elsewhere(file.descriptor.number) == 1 }

  /// Whether the kernel tells who holds an arena.
  package static func canTellHolders() throws(Errno) -> Bool {
    let arena = try Arena(named: "warmstart:probe", byteCount: 1).seal()
    guard clinux_is_held_elsewhere(arena.file.descriptor.number) == 0 else { return false }
    let other = try arena.open()
    defer { _ = other.borrowedNumber() }
    return arena.isHeldElsewhere
  }

  /// Whether all four seals are on, as a client checks before it maps.
  ///
  /// See `fcntl(2)`, F_GET_SEALS.
  package static func isSealed(_ descriptor: borrowing Descriptor) -> Bool {
    clinux_is_sealed(descriptor.number) == 1
  }
}
