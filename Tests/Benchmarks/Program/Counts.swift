import Foundation
import WarmstartTestSupport

/// What one request of an operation takes, in numbers that do not depend on the machine.
///
/// A daemon and a client, in processes of their own, do the operation n times, and another pair
/// does it 2n times. The difference divided by n is one request, without starting and ending. Both
/// processes run under a tool that counts: strace for all but instructions, callgrind for those.
struct Counts {
  /// By what is counted, for example "daemon system calls".
  let perRequest: [String: Int]

  /// Counts an operation's system calls, bytes, files, page faults and allocations.
  init(_ operation: Operation) throws {
    try self.init(operation, operation.counted, Trace.init)
  }

  /// Counts an operation's instructions.
  init(instructionsOf operation: Operation) throws {
    try self.init(operation, operation.instructed, Callgrind.init)
  }

  private init(
    _ operation: Operation, _ count: Int, _ tool: (String, URL) throws -> some CountingTool
  ) throws {
    let once = try Counts.run(operation, count, tool)
    let twice = try Counts.run(operation, 2 * count, tool)
    perRequest = twice.merging(once) { twice, once in
      // Starting takes a page more or less each time, so the difference may be negative.
      max(0, Int((Double(twice - once) / Double(count)).rounded()))
    }
  }

  /// The counts of an operation for people, on one line.
  static func text(_ operation: Operation) throws -> String {
    let counts = try Counts(operation).perRequest
    let instructions =
      operation.instructed > 0 ? try Counts(instructionsOf: operation).perRequest : [:]
    return ["client", "daemon"].map { process in
      func count(_ what: String) -> Int { counts["\(process) \(what)"] ?? 0 }
      var columns = [
        "\(process) \(count("system calls")) calls", "\(count("bytes sent")) B sent",
        "\(count("files sent")) files", "\(count("file bytes read")) B read",
        "\(count("minor faults"))+\(count("major faults")) faults",
        "\(count("allocations")) allocations",
      ]
      if let number = instructions["\(process) instructions"] {
        columns.append("\(number) instructions")
      }
      return columns.joined(separator: ", ")
    }.joined(separator: " | ")
  }

  /// Prints the counts of operations as JSON, for the gate.
  static func printJSON(_ operations: [Operation], _ count: (Operation) throws -> Counts) throws {
    let counts = try operations.map { ($0.name, try count($0).perRequest) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let json = try encoder.encode(Dictionary(uniqueKeysWithValues: counts))
    print(String(decoding: json, as: UTF8.self))
  }

  private static func run(
    _ operation: Operation, _ count: Int, _ tool: (String, URL) throws -> some CountingTool
  ) throws -> [String: Int] {
    let directory = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let daemonTool = try tool("daemon", directory)
    let clientTool = try tool("client", directory)
    let daemon = try RunningDaemon(
      under: daemonTool.command, program: try daemonTool.program("warmstartd"))
    let client = Process()
    client.executableURL = URL(filePath: "/usr/bin/env")
    // The client sends its command to the daemon, so the command must be as long everywhere.
    try Bench.prepare(daemon)
    try FileManager.default.createSymbolicLink(
      at: daemon.directory.appending(path: "benchmarks"),
      withDestinationURL: try clientTool.program("warmstart-benchmarks"))
    client.currentDirectoryURL = daemon.directory
    client.arguments = clientTool.command + ["./benchmarks", "--repeat", operation.name]
    // Whether malloc returns freed memory to the kernel is chance, so it never does.
    client.environment = ProcessInfo.processInfo.environment.merging([
      "COUNT": "\(count)", "MALLOC_TRIM_THRESHOLD_": "1000000000",
      "MALLOC_MMAP_THRESHOLD_": "1000000000",
    ]) { $1 }
    let output = Pipe()
    client.standardOutput = output
    try client.run()
    let said = try output.fileHandleForReading.readToEnd() ?? Data()
    client.waitUntilExit()
    guard client.terminationStatus == 0, let faults = PageFaults(reported: said) else {
      throw CountingError(description: "\(operation.name): the client failed")
    }
    let daemonFaults = try PageFaults(ofProcess: daemon.processID)
    guard daemon.stop() == 0 else {
      throw CountingError(description: "\(operation.name): the daemon failed")
    }
    return try daemonTool.counts(daemonFaults)
      .merging(clientTool.counts(faults)) { $1 }
  }
}

/// A tool that runs a process and counts what it does.
protocol CountingTool {
  /// What to put before the process's command.
  var command: [String] { get }

  /// The file to run for one of the programs.
  func program(_ name: String) throws -> URL

  /// What the process did, which must have ended, by names that start with the process's.
  func counts(_ faults: PageFaults) throws -> [String: Int]
}

/// Why counting failed.
struct CountingError: Error {
  let description: String
}

/// How often a process touched a page that was not in its memory.
///
/// See `getrusage(2)`, ru_minflt and ru_majflt.
struct PageFaults {
  let minor: Int
  let major: Int

  /// The faults of this process so far.
  init() {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    minor = usage.ru_minflt
    major = usage.ru_majflt
  }

  /// The faults of another process so far.
  ///
  /// See `proc(5)`, /proc/pid/stat.
  init(ofProcess id: Int) throws {
    let status = try String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
    // The name, in parentheses, may itself contain parentheses and blanks.
    let fields = status[(status.lastIndex(of: ")") ?? status.startIndex)...].split(separator: " ")
    minor = Int(fields[8]) ?? 0
    major = Int(fields[10]) ?? 0
  }

  /// Parses what a client printed when it ended.
  init?(reported text: Data) {
    let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.count == 2, let minor = Int(words[0]), let major = Int(words[1]) else { return nil }
    self.minor = minor
    self.major = major
  }

  var report: String { "\(minor) \(major)" }
}
