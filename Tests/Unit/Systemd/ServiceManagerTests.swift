import Foundation
import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartSystemd
import WarmstartTestSupport

/// The output of `activated` after descriptors were passed to it, from 3 on.
///
/// It is a separate program, because the runner of exit tests uses these numbers itself.
private func said(
  descriptors: Int, announced: Int? = nil, named names: String?, to process: String = "$$"
) throws -> [String] {
  let passed = (0..<descriptors).map { "\(3 + $0)</dev/null" }.joined(separator: " ")
  let program = RunningDaemon.products.appending(path: "warmstart-activated").path(
    percentEncoded: false)
  let shell = Process()
  shell.executableURL = URL(filePath: "/bin/sh")
  shell.arguments = [
    "-c",
    "exec 3<&- 4<&- 5<&- \(passed); LISTEN_PID=\(process) exec '\(program)'",
  ]
  var environment = ["LISTEN_FDS": "\(announced ?? descriptors)"]
  environment["LISTEN_FDNAMES"] = names
  environment["LD_LIBRARY_PATH"] = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"]
  shell.environment = environment
  let output = Pipe()
  shell.standardOutput = output
  try shell.run()
  let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
  shell.waitUntilExit()
  #expect(shell.terminationStatus == 0)
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0) }
}

/// What a service manager passes to a process, and how the process notifies it.
@Suite struct ServiceManagerTests {
  @Test(arguments: [
    ("warmstart:admin", ["warmstart", "admin"]),
    ("warmstart:", ["warmstart", ""]),
    (nil, ["unknown", "unknown"]),
  ])
  func `each descriptor gets its name`(text: String?, names: [String]) throws {
    #expect(
      try said(descriptors: 2, named: text) == [
        "3 '\(names[0])' close-on-exec", "4 '\(names[1])' close-on-exec",
      ])
  }

  @Test(arguments: ["", "warmstart", "a:b:c"])
  func `names that do not fit the descriptors are refused`(text: String) throws {
    #expect(try said(descriptors: 2, named: text) == ["EINVAL"])
  }

  @Test func `descriptors passed to the parent are not taken`() throws {
    #expect(try said(descriptors: 1, named: "warmstart", to: "$PPID") == [])
  }

  @Test func `a descriptor that was not passed is not taken`() throws {
    #expect(try said(descriptors: 0, announced: 1, named: nil) == ["EBADF"])
  }

  @Test(arguments: ["path", "@abstract"])
  func `each notification arrives as one datagram`(kind: String) async throws {
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

  @Test func `descriptors are stored and removed by name`() async throws {
    let directory = try TemporaryDirectory()
    await #expect(processExitsWith: .success) { [name = "\(directory.path)/notify" as String] in
      try #require(ServiceManager.storeCapacity == 0)
      let receiver = DatagramReceiver(name)
      set("NOTIFY_SOCKET", name)
      try #require(ServiceManager.storeCapacity == 96)
      set("FDSTORE", "12")
      try #require(ServiceManager.storeCapacity == 12)
      try #require(ServiceManager.store(try File(opening: "/dev/null"), "a.b"))
      ServiceManager.removeStored("a.b")
      ServiceManager.extendTimeout(milliseconds: 20)
      try #require(receiver.next() == "FDSTORE=1\nFDNAME=a.b")
      try #require(receiver.next() == "FDSTOREREMOVE=1\nFDNAME=a.b")
      try #require(receiver.next() == "EXTEND_TIMEOUT_USEC=20000")
    }
  }

  @Test func `a descriptor cannot be stored without a manager`() async {
    await #expect(processExitsWith: .success) {
      try #require(!ServiceManager.store(try File(opening: "/dev/null"), "a.b"))
    }
  }

  @Test func `a missing manager is ignored`() async {
    await #expect(processExitsWith: .success) {
      set("NOTIFY_SOCKET", "/nowhere/notify")
      ServiceManager.ready()
    }
  }

  @Test(arguments: [
    ("30000000", nil, 15_000), ("1", nil, 1), ("30000000", "1", nil), (nil, nil, nil),
  ])
  func `the watchdog is fed at half its interval`(
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
