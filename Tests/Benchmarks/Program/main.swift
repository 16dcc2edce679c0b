import Foundation

// Measures operations, each beside a C program that does the least of the same, in the same run.
//
// usage: warmstart-benchmarks [--counts | --instructions] [NAME,...]
//        COUNT=N warmstart-benchmarks --repeat NAME   (the program runs itself like this)
//        warmstart-benchmarks --worker SOCKET PREFIX TABLE   (`make bench-python` runs it like this)
//
// With --counts or --instructions it takes no times and prints counts as JSON.

var arguments = CommandLine.arguments.dropFirst()

switch arguments.first {
case "--repeat":
  guard let operation = Operation.wanted(arguments.dropFirst().first).first,
    let count = ProcessInfo.processInfo.environment["COUNT"].flatMap({ Int($0) })
  else { fatalError("usage: COUNT=N warmstart-benchmarks --repeat NAME") }
  let body = try operation.prepare(Bench(besideDaemon: ()))
  for _ in 0..<count { _ = try body() }
  print(PageFaults().report)
case "--worker":
  try Worker(Array(arguments.dropFirst())).run()
case "--counts":
  let operations = Operation.wanted(arguments.dropFirst().first).filter { $0.counted > 0 }
  try Counts.printJSON(operations) { try Counts($0) }
case "--instructions":
  let operations = Operation.wanted(arguments.dropFirst().first).filter { $0.instructed > 0 }
  try Counts.printJSON(operations) { try Counts(instructionsOf: $0) }
case let names:
  let operations = Operation.wanted(names)
  if !operations.isEmpty {
    let bench = try Bench()
    for operation in operations { print(try Line(operation, bench).text) }
  }
  for study in Study.wanted(names) { try study.run() }
}
