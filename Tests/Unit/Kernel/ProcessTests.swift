import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Which signals end a process, which are read, and what a process knows about itself.
@Suite struct ProcessTests {
  @Test func `an error that a call reports does not end the process as well`() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/file"
    await #expect(processExitsWith: .success) { [path = path as String] in
      letSignalsEnd([SIGPIPE, SIGXFSZ, SIGIO])
      try Process.ignoreSignalsOfFailedCalls()
      // RLIMIT_FSIZE
      var limit = rlimit(rlim_cur: 5000, rlim_max: 5000)
      _ = unsafe setrlimit(__rlimit_resource_t(1), &limit)
      let file = try File(creatingNew: FilePath(path))
      let bytes = [UInt8](repeating: 1, count: 10_000)
      #expect(throws: Errno.fileTooLarge) { try file.write(bytes.rawSpan) }
      #expect(try file.status().size == 5000)

      let pipe = try FileDescriptor.pipe()
      try pipe.readEnd.close()
      let writeEnd = File(Descriptor(adopting: pipe.writeEnd.rawValue))
      #expect(throws: Errno.brokenPipe) { try writeEnd.write(bytes.rawSpan) }

      #expect(raise(SIGIO) == 0)
    }
  }

  @Test(arguments: Process.CallSignal.allCases)
  func `a signal that was not named still ends the process`(named: Process.CallSignal) async {
    let others = Process.CallSignal.allCases.filter { $0 != named }.map { $0.rawValue }
    await #expect(processExitsWith: .signal(named.rawValue)) {
      [others = others as [CInt], number = named.rawValue as CInt] in
      letSignalsEnd([number])
      try Process.ignoreSignalsOfFailedCalls(others.compactMap(Process.CallSignal.init(rawValue:)))
      raise(number)
    }
  }

  @Test func `signals are read one after the other instead of ending the process`() async {
    await #expect(processExitsWith: .success) {
      let signals = try Signals()
      #expect(signals.next() == nil)
      for signal in Signals.Signal.allCases {
        #expect(raise(signal.rawValue) == 0)
        var poll = Poll()
        poll.add(signals.descriptor, for: .readable)
        #expect(try poll.wait(until: .after(milliseconds: 0)))
        #expect(signals.next() == signal)
      }
      #expect(signals.next() == nil)
    }
  }

  @Test func `a signal that ends the process removes the last file that was named`() async throws {
    let directory = try TemporaryDirectory()
    let paths = ["/kept", "/removed"].map { directory.path + $0 }
    for path in paths { _ = try File(creatingNew: FilePath(path)) }
    await #expect(processExitsWith: .signal(SIGTERM)) {
      [kept = paths[0] as String, removed = paths[1] as String] in
      letSignalsEnd([SIGTERM])
      try Process.removeWhenEnded(FilePath(kept))
      try Process.removeWhenEnded(FilePath(removed))
      raise(SIGTERM)
    }
    #expect(paths.map { File.exists(FilePath($0)) } == [true, false])
  }

  @Test func `a signal removes nothing after no file was named`() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/kept"
    _ = try File(creatingNew: FilePath(path))
    await #expect(processExitsWith: .signal(SIGTERM)) { [path = path as String] in
      letSignalsEnd([SIGTERM])
      try Process.removeWhenEnded(FilePath(path))
      try Process.removeWhenEnded(nil)
      raise(SIGTERM)
    }
    #expect(File.exists(FilePath(path)))
  }

  @Test func `the descriptor limit is raised to the most that is allowed`() async {
    await #expect(processExitsWith: .success) {
      // RLIMIT_NOFILE
      var limit = rlimit(rlim_cur: 50, rlim_max: 80)
      _ = unsafe setrlimit(__rlimit_resource_t(7), &limit)
      for _ in 0..<2 {
        let raised = try Process.raiseDescriptorLimit()
        #expect(raised == 80)
      }
    }
  }

  @Test func `a process that exits now has the status it was given`() async {
    await #expect(processExitsWith: .exitCode(7)) { Process.exitNow(7) }
  }

  @Test func `a process knows its id, directory, environment and command`() async throws {
    #expect(Process.id == Int(getpid()))
    let path = try #require(Process.workingDirectory)
    #expect(try File.isDirectory(FilePath(path)))
    #expect(Process.environment("WARMSTART_NOT_SET") == nil)
    #expect(Process.environment("PATH") != nil)
    let words = CommandLine.arguments.joined(separator: " ").utf8
    #expect(Array(Process.commandLine.utf8).starts(with: words.prefix(200)))
  }

  @Test func `a process whose directory was removed has none`() async throws {
    let directory = try TemporaryDirectory()
    await #expect(processExitsWith: .success) { [path = directory.path as String] in
      let changed = unsafe chdir(path)
      #expect(changed == 0)
      try TemporaryDirectory.remove(path)
      #expect(Process.workingDirectory == nil)
    }
  }

  @Test func `a limit of memory is the process's, or none`() async {
    #expect(Process.physicalByteCount >= Process.freeByteCount)
    #expect(Process.processorCount >= 1)
    await #expect(processExitsWith: .success) {
      // RLIMIT_DATA. AddressSanitizer's own maps take 16 TiB of it.
      var limit = rlimit(rlim_cur: 1 << 46, rlim_max: rlim_t.max)
      _ = unsafe setrlimit(__rlimit_resource_t(2), &limit)
      #expect(Process.memoryLimit == 1 << 46)
    }
  }

  @Test func `what a process keeps in memory is counted as resident`() async {
    // In a process of its own, since other tests' memory would count.
    await #expect(processExitsWith: .success) {
      let before = try Process.residentByteCount()
      var arena = try Arena(named: "test", byteCount: 64 << 20)
      var bytes = arena.bytes
      for offset in stride(from: 0, to: 64 << 20, by: Mapping.pageByteCount) {
        bytes.store(1, at: offset)
      }
      #expect(try Process.residentByteCount() > before + 32 << 20)
    }
  }
}

/// Has signals do what they do by default, whatever was inherited, and does not block them, as
/// threads of tests do.
private func letSignalsEnd(_ numbers: [CInt]) {
  for number in numbers { _ = signal(number, SIG_DFL) }
  var none = sigset_t()
  _ = unsafe sigemptyset(&none)
  _ = unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
}
