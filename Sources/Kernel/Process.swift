import CWarmstartLinux
package import SystemPackage

/// Signals that a thread reads from a descriptor instead of being interrupted.
///
/// See `signalfd(2)`.
package final class Signals: Sendable {
  /// A signal that the daemon acts on.
  ///
  /// See `signal(7)`.
  package enum Signal: CInt, Sendable, CaseIterable {
    /// SIGHUP, which has the daemon read its configuration again.
    case hangUp = 1
    /// SIGINT, which stops the daemon.
    case interrupt = 2
    /// SIGTERM, which stops the daemon.
    case terminate = 15
    /// SIGUSR1, which has the daemon log its state.
    case user1 = 10
  }

  /// Readable while a signal waits to be taken.
  package let descriptor: Descriptor

  /// Blocks the signals on this thread and on those that it starts; call it before any others
  /// start.
  package init() throws(Errno) {
    let numbers = Signal.allCases.map { $0.rawValue }
    descriptor = Descriptor(adopting: try checked(unsafe clinux_signals(numbers, numbers.count)))
  }

  /// Takes the next signal; nil if none waits.
  package func next() -> Signal? {
    Signal(rawValue: clinux_next_signal(descriptor.number))
  }
}

/// This process.
///
/// See `getrlimit(2)`, `_exit(2)`, `proc(5)`.
package enum Process {
  /// Raises the limit of open descriptors to the most that is allowed, and returns it.
  package static func raiseDescriptorLimit() throws(Errno) -> Int {
    Int(try checked(clinux_raise_descriptor_limit()))
  }

  /// A signal that ends the process for an event that a call reports anyway.
  ///
  /// See `signal(7)`.
  package enum CallSignal: CInt, Sendable, CaseIterable {
    /// SIGPIPE: a write to a closed peer, which gives EPIPE.
    case brokenPipe = 13
    /// SIGXFSZ: a write past the largest file that is allowed (RLIMIT_FSIZE), which gives EFBIG.
    case fileTooLarge = 25
    /// SIGIO: a descriptor is ready, which `poll` reports. A client can have it sent to this
    /// process through a file that both share.
    case ready = 29
  }

  /// Ignores signals, so that calls report the events instead.
  ///
  /// Processes that this one starts inherit that. See `signal(2)`, SIG_IGN.
  package static func ignoreSignalsOfFailedCalls(
    _ signals: [CallSignal] = CallSignal.allCases
  ) throws(Errno) {
    for signal in signals { _ = try checked(clinux_ignore(signal.rawValue)) }
  }

  /// Has SIGHUP, SIGINT and SIGTERM remove a file before they end the process.
  ///
  /// A later call replaces the file, or removes none if the path is nil. Only one thread at a time
  /// may call this. See `sigaction(2)`.
  package static func removeWhenEnded(_ path: FilePath?) throws(Errno) {
    guard let path else {
      _ = clinux_remove_when_ended(nil)
      return
    }
    _ = try checked(unsafe path.withPlatformString { unsafe clinux_remove_when_ended($0) })
  }

  /// The bytes of memory that the process occupies, file pages included.
  package static func residentByteCount() throws(Errno) -> Int {
    Int(try checked(clinux_resident_bytes()))
  }

  /// Makes all threads share one heap, which keeps up to a number of freed bytes at its end.
  ///
  /// A freed block that is longer than that goes back to the kernel. See `mallopt(3)`,
  /// M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX.
  package static func keepFreedMemory(upTo byteCount: Int) {
    clinux_keep_freed(CInt(clamping: byteCount))
  }

  /// Returns freed memory to the kernel, including pages between blocks that are in use.
  ///
  /// This takes milliseconds if much was freed. See `malloc_trim(3)`.
  package static func giveBackFreedMemory() {
    clinux_trim()
  }

  /// The machine's memory in bytes.
  ///
  /// See `sysconf(3)`, _SC_PHYS_PAGES.
  package static var physicalByteCount: Int { Int(clinux_physical_bytes()) }

  /// The bytes of unused memory.
  ///
  /// More can be allocated, because the kernel drops cached files.
  ///
  /// See `sysinfo(2)`.
  package static var freeByteCount: Int { Int(clinux_free_bytes()) }

  /// The most bytes that this process may map or allocate; `Int.max` without a limit.
  ///
  /// See `getrlimit(2)`, RLIMIT_AS, RLIMIT_DATA.
  package static var memoryLimit: Int { Int(clinux_memory_limit()) }

  /// The most bytes that this process may lock into memory; `Int.max` without a limit.
  ///
  /// See `getrlimit(2)`, RLIMIT_MEMLOCK.
  package static var lockLimit: Int { Int(clinux_lock_limit()) }

  /// Whether a write changes a file's time even right after the time was read.
  ///
  /// That is so since Linux 6.13, on file systems that support it. Before, a file's times are as
  /// coarse as the kernel's clock ticks. See `uname(2)`.
  package static let kernelHasFineTimes = clinux_kernel_is_at_least(6, 13) == 1

  /// The number of processors that run threads.
  ///
  /// See `sysconf(3)`, _SC_NPROCESSORS_ONLN.
  package static var processorCount: Int { Int(clinux_processors()) }

  /// This process's id.
  ///
  /// See `getpid(2)`.
  package static var id: Int { Int(clinux_process_id()) }

  /// Whether standard error is a terminal, where a person reads.
  ///
  /// See `isatty(3)`.
  package static var hasTerminal: Bool { clinux_is_terminal(2) == 1 }

  /// A variable of the environment; nil if it is not set.
  ///
  /// See `getenv(3)`.
  package static func environment(_ name: String) -> String? {
    guard let value = unsafe clinux_environment(name) else { return nil }
    return unsafe String(cString: value)
  }

  /// The working directory; nil if it has been deleted or has no path.
  ///
  /// See `getcwd(3)`, `path_resolution(7)`.
  package static var workingDirectory: String? {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: File.maximumPathByteCount) {
      buffer in
      guard let path = buffer.baseAddress,
        unsafe clinux_working_directory(path, buffer.count) == 0
      else { return nil }
      return unsafe String(cString: path)
    }
  }

  /// The first 256 bytes of this process's command, with spaces between arguments.
  ///
  /// See `proc(5)`, /proc/pid/cmdline.
  package static var commandLine: String {
    var bytes = [UInt8](repeating: 0, count: 256)
    guard let file = try? File(opening: "/proc/self/cmdline"),
      let count = try? file.read(at: 0, into: &bytes, range: 0..<bytes.count)
    else { return "" }
    let words = bytes[..<count].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    return words.joined(separator: " ")
  }

  /// Ends the process at once, even if a thread hangs in the kernel.
  package static func exitNow(_ status: CInt) -> Never {
    clinux_exit_now(status)
  }
}
