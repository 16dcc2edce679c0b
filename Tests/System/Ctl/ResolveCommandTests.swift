import Foundation
import Testing
import WarmstartTestSupport

/// `warmstartctl resolve --output`, and what it leaves in the directory.
@Suite(.serialized) struct ResolveCommandTests {
  private let daemon: RunningDaemon
  private let directory: TemporaryDirectory

  init() throws {
    daemon = try RunningDaemon()
    directory = try TemporaryDirectory()
  }

  private var output: String { "\(directory.path)/output" }

  private func arguments(_ checkpoint: String, _ name: String, _ shape: [Int]) throws -> [String] {
    let variables = "\(directory.path)/variables.json"
    let declared = #"{"variables": [{"name": "v", "dtype": "uint8", "shape": \#(shape)}]}"#
    try Data(declared.utf8).write(to: URL(filePath: variables))
    return [
      "--socket", daemon.socketPath, "resolve", checkpoint, "--assign", "\(name)=v",
      "--variables", variables, "--output", output,
    ]
  }

  private var files: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: output)) ?? []
  }

  @Test func `a directory of an earlier run is refused, and left as it is`() throws {
    var writer = BundleWriter()
    writer.add("t", dtype: 4, [3], [1, 2, 3])
    let bundle = try writer.write(to: directory.path)
    let arguments = try arguments(bundle.prefix, "t", [3])
    #expect(try Command("warmstartctl", arguments).status == 0)
    #expect(files == ["0-v.npy"])
    let again = try Command("warmstartctl", arguments)
    #expect(again.status == 1)
    #expect(again.errors.contains("output has .npy files already, such as 0-v.npy: "))
    try FileManager.default.removeItem(atPath: output + "/0-v.npy")
    try Data().write(to: URL(filePath: output + "/notes"))
    #expect(try Command("warmstartctl", arguments).status == 0)
    #expect(files.sorted() == ["0-v.npy", "notes"])
  }

  @Test func `a tensor in a missing V1 table is not found, and the error names the table`() throws {
    try FileManager.default.copyItem(
      atPath: Golden.path("v1_sharded/model-00001-of-00002"),
      toPath: "\(directory.path)/model-00001-of-00002")
    let prefix = "\(directory.path)/model-?????-of-00002"
    let command = try Command("warmstartctl", arguments(prefix, "nowhere", [3]))
    #expect(command.status == 1)
    #expect(command.errors.contains("(TENSOR_NOT_FOUND)"))
    #expect(
      command.errors.contains(
        "; by the names of the other V1 tables, model-00000-of-00002 is missing"))
    let whole = Golden.path("v1_sharded/model-?????-of-00002")
    let complete = try Command("warmstartctl", arguments(whole, "nowhere", [3]))
    #expect(complete.errors.contains("(TENSOR_NOT_FOUND)"))
    #expect(!complete.errors.contains("missing"))
  }

  @Test(arguments: [SIGHUP, SIGINT, SIGTERM])
  func `after a signal no part of a file stays`(signal: CInt) throws {
    let byteCount = 1 << 30
    var writer = BundleWriter()
    writer.addZeros("t", dtype: 4, [byteCount])
    let bundle = try writer.write(to: directory.path)
    let arguments = try arguments(bundle.prefix, "t", [byteCount])
    var process = try end(arguments, by: signal)
    // On a busy machine the file may be whole before the signal.
    for _ in 0..<10 where files == ["0-v.npy"] {
      try FileManager.default.removeItem(atPath: output)
      process = try end(arguments, by: signal)
    }
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(process.terminationStatus == signal)
    #expect(files == [])
  }

  @Test func `a file beyond the size limit is an error, and no part of it stays`() throws {
    // A sanitizer's own files would be too large.
    if ProcessMemory.isSanitized { return }
    var writer = BundleWriter()
    writer.addZeros("t", dtype: 4, [1 << 20])
    let bundle = try writer.write(to: directory.path)
    // In blocks of 512 bytes or 1 KiB, by shell: less than the tensor has in both.
    let limit = ["/bin/sh", "-c", #"ulimit -f 100; exec "$0" "$@""#]
    let (status, errors) = try end(arguments(bundle.prefix, "t", [1 << 20]), under: limit) {}
    #expect(status == 1)
    #expect(errors.hasSuffix(": cannot write \(output)/0-v.npy: File too large\n"))
    #expect(files == [])
  }

  @Test func `a checkpoint truncated during the write is reported, and no part of the file stays`()
    throws
  {
    let byteCount = 1 << 30
    var writer = BundleWriter()
    writer.addZeros("t", dtype: 4, [byteCount])
    let bundle = try writer.write(to: directory.path)
    let arguments = try arguments(bundle.prefix, "t", [byteCount])
    var (status, errors) = try end(arguments) { try? BundleFile.truncate(bundle.shards[0], to: 0) }
    // On a busy machine the file may be whole before it is truncated.
    for _ in 0..<10 where files == ["0-v.npy"] {
      try FileManager.default.removeItem(atPath: output)
      try BundleFile.truncate(bundle.shards[0], to: byteCount)
      (status, errors) = try end(arguments) { try? BundleFile.truncate(bundle.shards[0], to: 0) }
    }
    #expect(status == 1)
    #expect(
      errors == """
        warmstartctl: ABORTED (CHECKPOINT_CHANGED): \(bundle.prefix): cannot write \(output)/0-v.npy: \
        the checkpoint's file with tensor t was truncated or became unreadable while it was written

        """)
    #expect(files == [])
  }

  /// Runs the command, and sends it a signal once it has begun to write.
  private func end(_ arguments: [String], by signal: CInt) throws -> Process {
    try run(arguments) { kill($0.processIdentifier, signal) }
  }

  /// Runs the command, and does something once it has begun to write; returns its status and
  /// errors.
  private func end(
    _ arguments: [String], under tool: [String] = [], _ body: () -> Void
  ) throws -> (status: Int32, errors: String) {
    let errors = "\(directory.path)/errors"
    _ = FileManager.default.createFile(atPath: errors, contents: nil)
    let file = try FileHandle(forWritingTo: URL(filePath: errors))
    let process = try run(arguments, under: tool, errors: file) { _ in body() }
    let status = process.terminationReason == .exit ? process.terminationStatus : -1
    return (status, try String(contentsOfFile: errors, encoding: .utf8))
  }

  private func run(
    _ arguments: [String], under tool: [String] = [], errors: FileHandle = .standardError,
    _ body: (Process) -> Void
  ) throws -> Process {
    let process = Process()
    let program = RunningDaemon.products.appending(path: "warmstartctl").path(percentEncoded: false)
    let words = tool + [program] + arguments
    process.executableURL = URL(filePath: words[0])
    process.arguments = Array(words.dropFirst())
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    // Threads of tests have signals blocked, which a process inherits.
    var none = sigset_t()
    var blocked = sigset_t()
    _ = unsafe sigemptyset(&none)
    _ = unsafe pthread_sigmask(SIG_SETMASK, &none, &blocked)
    try process.run()
    _ = unsafe pthread_sigmask(SIG_SETMASK, &blocked, nil)
    while files.isEmpty, process.isRunning { Thread.sleep(forTimeInterval: 0.001) }
    if process.isRunning { body(process) }
    process.waitUntilExit()
    return process
  }
}
