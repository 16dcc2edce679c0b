import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// What ends a process, and what no longer does.
@Suite struct ProcessTests {
  @Test func `signals whose error a call reports do not end the process`() async throws {
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
}

/// Has signals do what they do by default, whatever was inherited, and does not block them, as
/// threads of tests do.
private func letSignalsEnd(_ numbers: [CInt]) {
  for number in numbers { _ = signal(number, SIG_DFL) }
  var none = sigset_t()
  _ = unsafe sigemptyset(&none)
  _ = unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
}
