import Foundation
import Harness
import Kernel
import SystemPackage
import Systemd
import TestSupport
import Testing

/// Why descriptors are not passed: it needs a program of its own, which the system test has.
private let passing: Comment =
  "the runner of exit tests uses the numbers 3 and 4 itself, and closes them"

/// What is said in the environment is said to one process: each test needs one of its own.
///
/// A requirement that is not met ends that process: its report may have lost its descriptor to a
/// passed one.
@Suite struct ServiceManagerTests {
  @Test(
    .disabled(passing),
    arguments: [
      ("warmstart:admin", ["warmstart", "admin"]),
      ("warmstart:", ["warmstart", ""]),
      (nil, ["unknown", "unknown"]),
    ])
  func `each descriptor gets its name`(text: String?, names: [String]) async {
    await #expect(processExitsWith: .success) {
      [text = text as String?, names = names as [String]] in
      try pass(2, named: text)
      let inherited = try Activation().inherited
      try #require(inherited.map(\.name) == names)
      try #require(inherited.map { $0.socket.descriptor.borrowedNumber() } == [3, 4])
    }
  }

  @Test(.disabled(passing), arguments: ["", "warmstart", "a:b:c"])
  func `names that do not fit the descriptors are refused`(text: String) async {
    await #expect(processExitsWith: .success) { [text = text as String] in
      try pass(2, named: text)
      try requireRefusal(.invalidArgument)
    }
  }

  @Test(.disabled(passing)) func `programs that are started do not get what was passed`() async {
    await #expect(processExitsWith: .success) {
      try pass(1, named: "warmstart")
      let inherited = try Activation().inherited
      try #require(fcntl(3, F_GETFD) == FD_CLOEXEC)
      try #require(ProcessInfo.processInfo.environment["LISTEN_FDS"] == nil)
      try #require(inherited.count == 1)
    }
  }

  @Test(.disabled(passing)) func `what was passed to a parent is not taken`() async {
    await #expect(processExitsWith: .success) {
      try pass(1, named: "warmstart")
      set("LISTEN_PID", "\(getppid())")
      try #require(Activation().inherited.isEmpty)
    }
  }

  @Test(.disabled(passing)) func `a descriptor that was not passed is not taken`() async {
    await #expect(processExitsWith: .success) {
      try pass(1, named: nil)
      close(3)
      try requireRefusal(.badFileDescriptor)
    }
  }

  @Test(arguments: ["path", "@abstract"])
  func `what is told arrives as one datagram`(kind: String) async throws {
    let directory = try TemporaryDirectory()
    let name = kind == "path" ? "\(directory.path)/notify" : "@warmstart-\(UUID().uuidString)"
    await #expect(processExitsWith: .success) { [name = name as String] in
      let receiver = DatagramReceiver(name)
      set("NOTIFY_SOCKET", name)
      ServiceManager.ready()
      ServiceManager.status("2 clients")
      try #require(receiver.next() == "READY=1")
      try #require(receiver.next() == "STATUS=2 clients")
      try #require(receiver.next() == nil)
    }
  }

  @Test func `a manager that is gone is told nothing`() async {
    await #expect(processExitsWith: .success) {
      set("NOTIFY_SOCKET", "/nowhere/notify")
      ServiceManager.ready()
    }
  }

  @Test(arguments: [
    ("30000000", nil, 15_000), ("1", nil, 1), ("30000000", "1", nil), (nil, nil, nil),
  ])
  func `the watchdog is fed twice as often as it asks`(
    microseconds: String?, process: String?, milliseconds: Int?
  ) async {
    await #expect(processExitsWith: .success) {
      [
        microseconds = microseconds as String?, process = process as String?,
        milliseconds = milliseconds as Int?
      ] in
      set("WATCHDOG_USEC", microseconds)
      set("WATCHDOG_PID", process)
      try #require(ServiceManager.watchdogMilliseconds == milliseconds)
    }
  }
}

/// Sets or removes a variable of this process's environment.
private func set(_ name: String, _ value: String?) {
  if let value { unsafe setenv(name, value, 1) } else { unsafe unsetenv(name) }
}

/// Passes files to this process, from descriptor 3 on.
private func pass(_ count: Int, named names: String?) throws {
  let file = unsafe open("/dev/null", O_RDONLY)
  // Out of the way of the numbers that are passed.
  let number = fcntl(file, F_DUPFD_CLOEXEC, 10)
  close(file)
  for passed in 0..<CInt(count) { try #require(dup2(number, 3 + passed) == 3 + passed) }
  close(number)
  set("LISTEN_PID", "\(getpid())")
  set("LISTEN_FDS", "\(count)")
  set("LISTEN_FDNAMES", names)
}

private func requireRefusal(_ expected: Errno) throws {
  var refusal: Errno?
  do throws(Errno) { _ = try Activation() } catch { refusal = error }
  try #require(refusal == expected)
}
