import Foundation

// Measures operations beside what the kernel makes one pay for them in C, in the same run.
//
// usage: benchmarks [NAME,...]

let wanted = CommandLine.arguments.dropFirst().first?.split(separator: ",").map(String.init)
let bench = try Bench()
for operation in Operation.all where wanted?.contains(operation.name) ?? true {
  print(try Line(operation, bench).text)
}
