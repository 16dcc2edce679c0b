import CFuzzer
import Glibc

/// What can be fuzzed; each takes bytes that nobody vouches for, and stops where it finds fault.
let targets: [String: ([UInt8]) -> Void] = [
  "table": fuzzTable, "bundle": fuzzBundle, "frame": fuzzFrame, "call": fuzzCall,
  "assignment-map": fuzzAssignmentMap, "objects": fuzzObjects, "v1": fuzzSavedSlices,
  "snappy": fuzzSnappy, "text-format": fuzzTextFormat,
  "archive": fuzzArchive, "pickle": fuzzPickle, "hdf5": fuzzHDF5,
  "safetensors": fuzzSafetensors,
]

/// Stops the program, as libFuzzer wants to see a fault.
func check(_ isTrue: Bool, _ expected: @autoclosure () -> String) {
  guard isTrue else { fatalError("expected: \(expected())") }
}

guard let name = CommandLine.arguments.last, let found = targets[name] else {
  print("usage: fuzz [libFuzzer's arguments] -ignore_remaining_args=1 TARGET")
  print("targets: \(targets.keys.sorted().joined(separator: " "))")
  exit(64)
}

// A C function captures nothing, but sees what is global.
let target = found
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
  LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
    target(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
  })
