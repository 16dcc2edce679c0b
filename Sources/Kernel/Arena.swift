import CWarmstartLinux
package import SystemPackage

/// Anonymous memory that the daemon fills and then seals for clients to map.
///
/// Only an `Arena` can be filled and only a `SealedArena` can be sent. Sealing consumes the arena,
/// so code that writes after sealing does not compile. See `memfd_create(2)`.
///
/// An arena takes its memory from the start to the end, as it is filled: in huge pages of 2 MiB
/// where the kernel has them, which are twice as fast to fill, and 15 times as fast to touch for
/// the first time. `madvise(2)`, MADV_COLLAPSE, makes them whatever the host's settings are.
/// Otherwise it takes small pages, little by little, so that each is still in the processor's cache
/// when it is filled. Bytes without reserved memory can be written too, but if the system has no
/// memory left, the kernel then ends the process with SIGBUS instead of returning an error.
@safe
package struct Arena: ~Copyable, Sendable {
  /// The memory that huge pages are asked for at a time.
  ///
  /// Each call of MADV_COLLAPSE waits until all processors have emptied their lists of new pages,
  /// which takes milliseconds on a busy machine.
  private static let collapsedByteCount = 32 * Mapping.hugePageByteCount
  /// The memory that is taken at a time in small pages, so that it stays in the second-level cache.
  private static let smallByteCount = 256 << 10

  /// Nil for no bytes.
  private let view: WritableView?
  /// The length in bytes.
  package let byteCount: Int
  /// The bytes from the start that have memory.
  private var reservedByteCount = 0
  /// The bytes that the kernel said it has put in huge pages.
  package private(set) var hugeByteCount = 0
  /// Whether asking for huge pages may succeed.
  private var canBeHuge: Bool

  /// Makes an arena of no bytes, for loads that fill nothing.
  package init() {
    (view, byteCount, canBeHuge) = (nil, 0, false)
  }

  /// Makes an arena of zeros, which takes memory when it is reserved.
  ///
  /// - Parameters:
  ///   - name: What `/proc` calls the arena.
  ///   - byteCount: The length.
  ///   - isHuge: Whether to ask the kernel for huge pages.
  /// - Throws: EINVAL for an arena of no bytes, and ENOMEM for one that exceeds the machine's
  ///   memory.
  package init(named name: String, byteCount: Int, isHuge: Bool = true) throws(Errno) {
    guard byteCount > 0 else { throw .invalidArgument }
    // The kernel would not refuse: it would kill a process when memory runs out.
    guard byteCount <= Process.physicalByteCount else { throw .noMemory }
    let number = try checked(unsafe name.withCString { unsafe clinux_memfd($0) })
    view = try WritableView(Descriptor(adopting: number), byteCount: byteCount)
    self.byteCount = byteCount
    canBeHuge = isHuge
  }

  /// The bytes, for filling.
  package var bytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      // The view keeps these pages mapped until sealing consumes the arena.
      let span = unsafe MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(start: view?.base, count: byteCount))
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// Takes memory for the bytes from the start to an offset, unless they have it.
  ///
  /// - Throws: ENOSPC or ENOMEM if the system has too little. The arena is then worthless.
  package mutating func reserve(upTo end: Int) throws(Errno) {
    precondition(end <= byteCount)
    while reservedByteCount < end { try reserveMore() }
  }

  private mutating func reserveMore() throws(Errno) {
    guard let view else { return }
    let rest = byteCount - reservedByteCount
    let huge = min(rest, Arena.collapsedByteCount) & ~(Mapping.hugePageByteCount - 1)
    if canBeHuge, huge > 0, reservedByteCount & (Mapping.hugePageByteCount - 1) == 0 {
      let result = view.collapse(reservedByteCount, huge)
      if result == 0 {
        hugeByteCount += huge
        reservedByteCount += huge
        return
      }
      // EAGAIN: some page was in use for a moment. After any other error a second try is in vain.
      if result != -CInt(Errno.resourceTemporarilyUnavailable.rawValue) { canBeHuge = false }
    }
    let small = min(rest, Arena.smallByteCount)
    try view.reserve(reservedByteCount, small)
    reservedByteCount += small
  }

  /// Makes the bytes unchangeable: from here on, not even root can write, shrink or grow them.
  ///
  /// - Parameter trailing: How many of the bytes, at the end, describe the arena to the daemon's
  ///   next process; clients are not told of them.
  package consuming func seal(trailing: Int = 0) throws(Errno) -> SealedArena {
    guard let view else { throw .invalidArgument }
    precondition(trailing >= 0 && trailing <= byteCount)
    return SealedArena(
      File(try view.seal()), byteCount: byteCount - trailing, hugeByteCount: hugeByteCount)
  }
}

/// An arena's file, and its writable mapping, which must end before the file can be sealed.
@safe
private final class WritableView: Sendable {
  nonisolated(unsafe) let base: UnsafeMutableRawPointer
  private let descriptor: Descriptor
  private let byteCount: Int
  private let isMapped = Monitor(true)

  init(_ descriptor: consuming Descriptor, byteCount: Int) throws(Errno) {
    _ = try checked(clinux_resize(descriptor.number, Int64(byteCount)))
    var address: UnsafeMutableRawPointer?
    _ = try checked(unsafe clinux_map(descriptor.number, 0, byteCount, 1, 1, &address))
    guard let address = unsafe address else { throw .noMemory }
    unsafe base = address
    self.descriptor = descriptor
    self.byteCount = byteCount
  }

  /// Makes a run of whole huge pages; returns 0 or `-errno`.
  func collapse(_ offset: Int, _ count: Int) -> CInt {
    unsafe clinux_collapse(descriptor.number, base, Int64(offset), count)
  }

  /// Takes memory for a run.
  func reserve(_ offset: Int, _ count: Int) throws(Errno) {
    _ = try checked(clinux_reserve(descriptor.number, Int64(offset), Int64(count)))
  }

  /// Ends the mapping, seals the file and opens it again, read-only.
  func seal() throws(Errno) -> Descriptor {
    // F_SEAL_WRITE is EBUSY while a writable mapping lives.
    unmap()
    _ = try checked(clinux_seal(descriptor.number))
    // Kernels before 6.7 refuse to map a sealed file through a description that allows writing.
    return Descriptor(adopting: try checked(clinux_reopen(descriptor.number)))
  }

  private func unmap() {
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
  /// The arena's own open file, which clients never get.
  package let file: File
  /// The length in bytes, without the bytes at the end that describe the arena.
  package let byteCount: Int
  /// The bytes in huge pages, as far as the kernel said when the arena was filled.
  package let hugeByteCount: Int

  init(_ file: File, byteCount: Int, hugeByteCount: Int) {
    self.file = file
    self.byteCount = byteCount
    self.hugeByteCount = hugeByteCount
  }

  /// Takes over an arena that an earlier process of the daemon sealed, with all bytes of its file.
  ///
  /// - Throws: EINVAL if the file is not a memfd of this user, read-only, with exactly the seals
  ///   that `Arena.seal` sets.
  package convenience init(restoring file: File) throws(Errno) {
    guard clinux_is_own_arena(file.descriptor.number) == 1 else { throw .invalidArgument }
    self.init(file, byteCount: try file.status().size, hugeByteCount: 0)
  }

  /// Takes over the first bytes of a restored arena, some of them in huge pages.
  package convenience init(first byteCount: Int, hugeByteCount: Int, of other: SealedArena) {
    precondition(byteCount >= 0 && byteCount <= other.byteCount)
    self.init(other.file, byteCount: byteCount, hugeByteCount: hugeByteCount)
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
