import Foundation

// Measures operations beside what the kernel makes one pay for them in C, in the same run.
//
// usage: warmstart-benchmarks [--counts] [NAME,...]
//        COUNT=N warmstart-benchmarks --repeat NAME   (how it calls itself)
//
// With --counts it takes no times and prints the counts as JSON.

var arguments = CommandLine.arguments.dropFirst()

switch arguments.first {
case "--repeat":
  guard let operation = Operation.wanted(arguments.dropFirst().first).first,
    let count = ProcessInfo.processInfo.environment["COUNT"].flatMap({ Int($0) })
  else { fatalError("usage: COUNT=N warmstart-benchmarks --repeat NAME") }
  let body = try operation.prepare(Bench(besideDaemon: ()))
  for _ in 0..<count { _ = try body() }
  print(PageFaults().report)
case "--counts":
  var counts: [String: [String: Int]] = [:]
  for operation in Operation.wanted(arguments.dropFirst().first) where operation.counted > 0 {
    counts[operation.name] = try Counts(operation).perRequest
  }
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
  print(String(decoding: try encoder.encode(counts), as: UTF8.self))
case let names:
  let operations = Operation.wanted(names)
  if !operations.isEmpty {
    let bench = try Bench()
    for operation in operations { print(try Line(operation, bench).text) }
  }
  for study in Study.wanted(names) { try study.run() }
}
