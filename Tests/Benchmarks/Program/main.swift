import CFloor
import Foundation
import TensorModel
import TestSupport
import WarmstartClient

// Measures operations beside what the kernel makes one pay for them in C, in the same run.

func timed(_ body: () throws -> Void) rethrows -> Int64 {
  let start = floor_now()
  try body()
  return floor_now() - start
}

let bench = try Bench()
let wanted = CommandLine.arguments.dropFirst().first?.split(separator: ",").map(String.init)
for (name, run) in bench.operations where wanted?.contains(name) ?? true {
  try run()
}
bench.end()
