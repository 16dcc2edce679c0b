import CWarmstartLinux
package import SystemPackage

/// Signals that are read from a descriptor instead of interrupting a thread.
///
/// See `signalfd(2)`.
package final class Signals: Sendable {
  /// A signal that the daemon acts on.
  ///
  /// See `signal(7)`.
  package enum Signal: CInt, Sendable, CaseIterable {
    case hangUp = 1
    case interrupt = 2
    case terminate = 15
    case user1 = 10
  }

  /// Readable when a signal has come.
  package let descriptor: Descriptor

  /// Blocks the signals; call it before any thread starts, threads inherit it.
  package init() throws(Errno) {
    let numbers = Signal.allCases.map { $0.rawValue }
    descriptor = Descriptor(adopting: try checked(unsafe clinux_signals(numbers, numbers.count)))
  }

  /// Takes the next signal that has come; nil if none has.
  package func next() -> Signal? {
    Signal(rawValue: clinux_next_signal(descriptor.number))
  }
}

/// This process.
///
/// See `getrlimit(2)`, `_exit(2)`, `proc(5)`.
package enum Process {
  /// Raises the limit of open descriptors as far as allowed and returns it.
  package static func raiseDescriptorLimit() throws(Errno) -> Int {
    Int(try checked(clinux_raise_descriptor_limit()))
  }

  /// A signal that ends the process for what a call reports as well.
  ///
  /// See `signal(7)`.
  package enum CallSignal: CInt, Sendable, CaseIterable {
    /// SIGPIPE: a write to a closed peer, which gives EPIPE.
    case brokenPipe = 13
    /// SIGXFSZ: a write past the largest file that is allowed (RLIMIT_FSIZE), which gives EFBIG.
    case fileTooLarge = 25
    /// SIGIO: a descriptor is ready, which `poll` says; a client can ask for it on a file that it
    /// shares with this process.
    case ready = 29
  }

  /// Has calls only report what these signals would end the process for.
  ///
  /// What this process starts inherits that. See `signal(2)`, SIG_IGN.
  package static func ignoreSignalsOfFailedCalls(
    _ signals: [CallSignal] = CallSignal.allCases
  ) throws(Errno) {
    for signal in signals { _ = try checked(clinux_ignore(signal.rawValue)) }
  }

  /// Has SIGHUP, SIGINT and SIGTERM remove a file before they end the process; nil is for none.
  ///
  /// Of several files the last counts; not for several threads at once. See `sigaction(2)`.
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

  /// Makes one heap for all threads, which keeps so many freed bytes at its end.
  ///
  /// Longer blocks go back when they are freed. See `mallopt(3)`, M_MMAP_THRESHOLD,
  /// M_TRIM_THRESHOLD, M_ARENA_MAX.
  package static func keepFreedMemory(upTo byteCount: Int) {
    clinux_keep_freed(CInt(clamping: byteCount))
  }

  /// Gives memory that was freed between what is in use back to the kernel.
  ///
  /// Takes milliseconds after much was freed. See `malloc_trim(3)`.
  package static func giveBackFreedMemory() {
    clinux_trim()
  }

  /// The bytes of memory that the machine has.
  ///
  /// See `sysconf(3)`, _SC_PHYS_PAGES.
  package static var physicalByteCount: Int { Int(clinux_physical_bytes()) }

  /// The bytes of memory that nothing is in: less than can be allocated, for files' pages can go.
  ///
  /// See `sysinfo(2)`.
  package static var freeByteCount: Int { Int(clinux_free_bytes()) }

  /// The most bytes that this process may map or have as its own; `Int.max` if nothing limits it.
  ///
  /// See `getrlimit(2)`, RLIMIT_AS, RLIMIT_DATA.
  package static var memoryLimit: Int { Int(clinux_memory_limit()) }

  /// Whether a write gives a file that has been looked at a time of its own, on file systems that can.
  ///
  /// Linux 6.13 and later; before, times are as coarse as the kernel's clock. See `uname(2)`.
  package static let kernelHasFineTimes = clinux_kernel_is_at_least(6, 13) == 1

  /// The processors that the machine runs threads on.
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

  /// Removes a variable from the environment.
  ///
  /// Call it before other threads start. See `unsetenv(3)`.
  package static func removeVariable(_ name: String) { unsafe clinux_remove_variable(name) }

  /// Where relative paths start; nil if that has been deleted or has no path.
  ///
  /// See `getcwd(3)`, `path_resolution(7)`, PATH_MAX.
  package static var workingDirectory: String? {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
      guard let path = buffer.baseAddress,
        unsafe clinux_working_directory(path, buffer.count) == 0
      else { return nil }
      return unsafe String(cString: path)
    }
  }

  /// The command that this process runs, its arguments separated by spaces; at most 256 bytes.
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
