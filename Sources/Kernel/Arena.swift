import CWarmstartLinux
package import SystemPackage

/// Anonymous memory that the daemon fills and then seals for clients to map.
///
/// Only an `Arena` can be filled and only a `SealedArena` can be sent. Sealing consumes the arena,
/// so code that writes after sealing does not compile. See `memfd_create(2)`.
@safe
package struct Arena: ~Copyable, Sendable {
  private let descriptor: Descriptor
  private let view: WritableView
  /// The length in bytes.
  package let byteCount: Int

  /// Makes an arena of zeros and reserves its memory.
  ///
  /// Throws EINVAL for an arena of no bytes, and ENOMEM for one that exceeds the machine's memory.
  package init(named name: String, byteCount: Int) throws(Errno) {
    guard byteCount > 0 else { throw .invalidArgument }
    // The kernel would not refuse: it would kill a process when memory runs out.
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

  /// The bytes, for filling.
  package var bytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      // The view keeps these pages mapped until sealing consumes the arena.
      let span = unsafe MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(start: view.base, count: byteCount))
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// Makes the bytes unchangeable: from here on, not even root can write, shrink or grow them.
  package consuming func seal() throws(Errno) -> SealedArena {
    // F_SEAL_WRITE is EBUSY while a writable mapping lives.
    view.unmap()
    _ = try checked(clinux_seal(descriptor.number))
    // Kernels before 6.7 refuse to map a sealed file through a description that allows writing.
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

/// An arena that can no longer change, whose descriptors the daemon gives to clients.
package final class SealedArena: Sendable {
  fileprivate let file: File
  /// The length in bytes.
  package let byteCount: Int

  init(_ file: File, byteCount: Int) {
    self.file = file
    self.byteCount = byteCount
  }

  /// Opens the arena again, read-only, for one client, which shares its file description with no
  /// other.
  package func open() throws(Errno) -> Descriptor {
    Descriptor(adopting: try checked(clinux_reopen(file.descriptor.number)))
  }

  /// Fills a buffer from an offset; throws EINVAL if the arena ends before the buffer is full.
  package func read(at offset: Int, into buffer: inout MutableRawSpan) throws(Errno) {
    let count = try file.read(at: offset, into: &buffer)
    guard count == buffer.byteCount else { throw .invalidArgument }
  }

  /// Whether the arena has another descriptor, which may be on its way through a socket.
  ///
  /// This is a hint: a descriptor opened with O_PATH keeps the memory but does not count. False if
  /// the kernel does not say. See `fcntl(2)`, F_SETLEASE: the kernel refuses a write lease while
  /// the file is open more than once.
  package var isHeldElsewhere: Bool { clinux_is_held_elsewhere(file.descriptor.number) == 1 }

  /// Whether a descriptor has all four seals, which a client checks before it maps.
  ///
  /// See `fcntl(2)`, F_GET_SEALS.
  package static func isSealed(_ descriptor: borrowing Descriptor) -> Bool {
    clinux_is_sealed(descriptor.number) == 1
  }
}

/// Reports when arenas end: when no process has them open, mapped or referred to in any way.
///
/// See `inotify(7)`, IN_DELETE_SELF: a file without a name is deleted when its last reference ends.
package final class ArenaWatches: Sendable {
  /// Identifies one watched arena.
  package typealias Watch = CInt

  private let descriptor: Descriptor

  /// Makes a set of watches, which is empty.
  package init() throws(Errno) {
    descriptor = Descriptor(adopting: try checked(clinux_watches()))
  }

  /// Starts to watch an arena, without keeping it.
  ///
  /// Throws ENOSPC if the user already has as many watches as the system allows.
  package func watch(_ arena: SealedArena) throws(Errno) -> Watch {
    try checked(clinux_watch_end(descriptor.number, arena.file.descriptor.number))
  }

  /// Returns watches whose arenas have ended, each once; call it until the result is empty.
  package func takeEnded() -> [Watch] {
    var ended = [CInt](repeating: 0, count: 256)
    while true {
      let count = unsafe clinux_ended(descriptor.number, &ended, ended.count)
      if count == -Int(Errno.resourceTemporarilyUnavailable.rawValue) { continue }
      return Array(ended.prefix(max(0, count)))
    }
  }
}
