import Foundation
import WarmstartTestSupport

/// Counts a process's instructions, in all threads.
///
/// The kernel's are not counted. See `callgrind` in valgrind's manual.
struct Callgrind: CountingTool {
  let command: [String]
  private let name: String
  private let directory: URL

  init(_ name: String, in directory: URL) {
    self.name = name
    self.directory = directory
    func path(_ kind: String) -> String {
      directory.appending(path: "\(name).\(kind)").path(percentEncoded: false)
    }
    command = [
      "valgrind", "--tool=callgrind", "--callgrind-out-file=\(path("out"))",
      "--log-file=\(path("log"))",
    ]
  }

  /// Makes a copy without debug information, which valgrind refuses to read.
  func program(_ name: String) throws -> URL {
    let copy = directory.appending(path: name)
    let original = RunningDaemon.products.appending(path: name)
    let strip = try Command(
      "/usr/bin/strip", ["-g", "-o", copy.path, original.path(percentEncoded: false)])
    guard strip.status == 0 else { throw CountingError(description: strip.errors) }
    return copy
  }

  func counts(_ faults: PageFaults) throws -> [String: Int] {
    let text = try String(contentsOf: directory.appending(path: "\(name).out"), encoding: .utf8)
    let lines = text.split(separator: "\n")
    guard let total = lines.last(where: { $0.hasPrefix("totals: ") }),
      let count = Int(total.dropFirst("totals: ".count))
    else { throw CountingError(description: "\(name): callgrind wrote no totals") }
    return ["\(name) instructions": count]
  }
}
