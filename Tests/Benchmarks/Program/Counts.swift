import Foundation
import WarmstartTestSupport

/// What one request of an operation takes, in numbers that do not depend on the machine.
///
/// A daemon and a client, both in processes of their own, do the operation n times, then another
/// pair does it 2n times: a n-th of the difference is a request, without starts and ends. What
/// goes to the kernel is read from `strace(1)`, faults from `/proc`, allocations from a preloaded
/// library.
struct Counts {
  /// By what is counted, for example "daemon system calls".
  let perRequest: [String: Int]

  init(_ operation: Operation) throws {
    let once = try Counts.run(operation, operation.counted)
    let twice = try Counts.run(operation, 2 * operation.counted)
    perRequest = twice.merging(once) { twice, once in
      // What a start takes varies by a page or two: that can be less than nothing.
      max(0, Int((Double(twice - once) / Double(operation.counted)).rounded()))
    }
  }

  /// For people, on one line.
  var text: String {
    ["client", "daemon"].map { process in
      func count(_ what: String) -> Int { perRequest["\(process) \(what)"] ?? 0 }
      return [
        "\(process) \(count("system calls")) calls", "\(count("bytes sent")) B sent",
        "\(count("files sent")) files", "\(count("file bytes read")) B read",
        "\(count("minor faults"))+\(count("major faults")) faults",
        "\(count("allocations")) allocations",
      ].joined(separator: ", ")
    }.joined(separator: " | ")
  }

  private static func run(_ operation: Operation, _ count: Int) throws -> [String: Int] {
    let directory = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let daemonTrace = try Trace("daemon", in: directory)
    let clientTrace = try Trace("client", in: directory)
    let daemon = try RunningDaemon(under: daemonTrace.command)
    let client = Process()
    client.executableURL = URL(filePath: "/usr/bin/env")
    // It says its command to the daemon, which must be the same everywhere.
    try Bench.prepare(daemon)
    try FileManager.default.createSymbolicLink(
      at: daemon.directory.appending(path: "benchmarks"),
      withDestinationURL: RunningDaemon.products.appending(path: "warmstart-benchmarks"))
    client.currentDirectoryURL = daemon.directory
    client.arguments = clientTrace.command + ["./benchmarks", "--repeat", operation.name]
    // Whether what is freed lies at the heap's end, and goes back to the kernel, is chance: it stays.
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
    return try daemonTrace.counts(daemonFaults)
      .merging(clientTrace.counts(faults)) { $1 }
  }
}

/// Why nothing could be counted.
struct CountingError: Error {
  let description: String
}

/// Memory that a process touched for the first time, or again after it was dropped.
///
/// See `getrusage(2)`, ru_minflt and ru_majflt.
struct PageFaults {
  let minor: Int
  let major: Int

  /// Of this process, so far.
  init() {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    minor = usage.ru_minflt
    major = usage.ru_majflt
  }

  /// Of another process, so far.
  ///
  /// See `proc(5)`, /proc/pid/stat.
  init(ofProcess id: Int) throws {
    let status = try String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
    // The name, in parentheses, may contain anything.
    let fields = status[(status.lastIndex(of: ")") ?? status.startIndex)...].split(separator: " ")
    minor = Int(fields[8]) ?? 0
    major = Int(fields[10]) ?? 0
  }

  /// What a client said when it ended.
  init?(reported text: Data) {
    let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.count == 2, let minor = Int(words[0]), let major = Int(words[1]) else { return nil }
    self.minor = minor
    self.major = major
  }

  var report: String { "\(minor) \(major)" }
}
