import CWarmstartLinux
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
  fileprivate let file: File
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

  /// Whether anybody but this value can read the arena, or has one that could on its way through a
  /// socket.
  ///
  /// A hint: who opened it with O_PATH keeps the memory, too, and does not count. False if the kernel does
  /// not tell. See `fcntl(2)`, F_SETLEASE: a write lease is refused while the file is open more than once.
  package var isHeldElsewhere: Bool { clinux_is_held_elsewhere(file.descriptor.number) == 1 }

  /// Whether all four seals are on, as a client checks before it maps.
  ///
  /// See `fcntl(2)`, F_GET_SEALS.
  package static func isSealed(_ descriptor: borrowing Descriptor) -> Bool {
    clinux_is_sealed(descriptor.number) == 1
  }
}

/// Notices when arenas end: when nobody has them open, mapped or referred to in any way.
///
/// See `inotify(7)`, IN_DELETE_SELF: what has no name is deleted when its last reference ends.
package final class ArenaWatches: Sendable {
  /// Stands for one arena.
  package typealias Watch = CInt

  private let descriptor: Descriptor

  package init() throws(Errno) {
    descriptor = Descriptor(adopting: try checked(clinux_watches()))
  }

  /// Begins to watch an arena, which the watch does not keep.
  ///
  /// Throws ENOSPC if the user has as many watches as it may.
  package func watch(_ arena: SealedArena) throws(Errno) -> Watch {
    try checked(clinux_watch_end(descriptor.number, arena.file.descriptor.number))
  }

  /// Takes some of the watches whose arenas have ended since the last time; empty if there are no more.
  package func takeEnded() -> [Watch] {
    var ended = [CInt](repeating: 0, count: 256)
    while true {
      let count = unsafe clinux_ended(descriptor.number, &ended, ended.count)
      if count == -Int(Errno.resourceTemporarilyUnavailable.rawValue) { continue }
      return Array(ended.prefix(max(0, count)))
    }
  }
}
