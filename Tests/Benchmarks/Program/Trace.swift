import Foundation
import WarmstartTestSupport

/// Counts what a process asks of the kernel and of malloc, thread by thread.
///
/// See `strace(1)`. Allocations are counted by a preloaded library.
struct Trace: CountingTool {
  let command: [String]
  private let name: String
  private let directory: URL
  private let allocations: URL

  init(_ name: String, in directory: URL) throws {
    self.name = name
    self.directory = directory
    allocations = directory.appending(path: "allocations-\(name)")
    try Data(count: 8).write(to: allocations)
    // -D: the started process is the traced one, and gets our signals. -ff: one file for each
    // thread, so that no line is torn. -y: lines show what descriptors are.
    command = [
      "strace", "-D", "-ff", "-y", "-qq", "-s", "0", "-e", "signal=none",
      "-E", "ALLOCATIONS=\(allocations.path(percentEncoded: false))",
      "-E", "LD_PRELOAD=\(RunningDaemon.products.appending(path: "allocations.so").path)",
      "-o", directory.appending(path: name).path(percentEncoded: false),
    ]
  }

  func program(_ name: String) -> URL { RunningDaemon.products.appending(path: name) }

  func counts(_ faults: PageFaults) throws -> [String: Int] {
    var calls = 0
    var sent = 0
    var files = 0
    var read = 0
    let traces = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      .filter { $0.hasPrefix("\(name).") }
    for trace in traces {
      let text = try String(contentsOf: directory.appending(path: trace), encoding: .utf8)
      for line in text.split(separator: "\n") {
        // The scheduler decides how often a thread waits for a lock.
        guard let call = TracedCall(line), call.name != "futex" else { continue }
        calls += 1
        switch call.name {
        case "sendmsg", "sendto":
          sent += max(0, call.result)
          files += call.descriptorCount
        case "read", "pread64", "readv", "preadv":
          if call.isOnFile { read += max(0, call.result) }
        default: break
        }
      }
    }
    let allocated = try Data(contentsOf: allocations).withUnsafeBytes {
      $0.loadUnaligned(as: UInt64.self)
    }
    return [
      "\(name) system calls": calls,
      "\(name) bytes sent": sent,
      "\(name) files sent": files,
      "\(name) file bytes read": read,
      "\(name) minor faults": faults.minor,
      "\(name) major faults": faults.major,
      "\(name) allocations": Int(allocated),
    ]
  }
}

/// One line of a trace: `name(arguments) = result`.
private struct TracedCall {
  let name: Substring
  let result: Int
  private let arguments: Substring

  init?(_ line: Substring) {
    guard let parenthesis = line.firstIndex(of: "("),
      let end = line.range(of: " = ", options: .backwards)
    else { return nil }
    name = line[..<parenthesis]
    arguments = line[line.index(after: parenthesis)..<end.lowerBound]
    // "?" if the process ended in it.
    result = Int(line[end.upperBound...].prefix { $0 == "-" || $0.isNumber }) ?? 0
  }

  /// Whether its first argument is a file.
  ///
  /// A file has a path; sockets and events have none.
  var isOnFile: Bool {
    arguments.drop { $0.isNumber }.hasPrefix("</") && !arguments.contains("</proc/")
  }

  /// The number of descriptors on a message.
  ///
  /// See `cmsg(3)`: each has four bytes after a header of 16.
  var descriptorCount: Int {
    guard arguments.contains("SCM_RIGHTS"), let length = arguments.range(of: "cmsg_len=") else {
      return 0
    }
    let bytes = Int(arguments[length.upperBound...].prefix { $0.isNumber }) ?? 0
    return max(0, bytes - 16) / 4
  }
}
