/// A trainer of the demo: several start from one checkpoint at the same time.
///
/// usage: warmstart-demo-trainer CHECKPOINT
///
/// Prints a line for each variable and a checksum of what it got, then `ready`, and keeps its
/// memory until its standard input ends. On a line `check` it looks at its memory again, on
/// `resolve` it asks the daemon again, and says whether it found the same. On `ask` it asks the
/// daemon again, and says how many microseconds that took. `Student.swift` says what it gets.

import Glibc
import SystemPackage
import WarmstartClient

func train(_ path: String) throws {
  let client = Client(label: "demo")
  let resolved = try client.resolve(path, assigning: Student.map, to: Student.variables())

  let digests = Student.checksums(resolved.tensors)
  var report = ""
  let width = resolved.tensors.map { $0.variable.name.description.count }.max() ?? 0
  for tensor in resolved.tensors {
    let name = tensor.variable.name.description
    let filling = String(repeating: " ", count: width - name.count)
    report += "\(name)\(filling) ← \(tensor.tensor) \(tensor.dtype.name) \(tensor.shape) "
    report += "\(tensor.region.kind.rawValue)\n"
  }
  for (tensor, digest) in digests {
    report += "sha256 \(tensor) \(digest)\n"
  }
  report += "ready \(resolved.tensors.reduce(0) { $0 + $1.byteCount })\n"
  // Not `print`, which keeps what goes to a pipe until the end.
  try FileDescriptor.standardOutput.writeAll(report.utf8)

  // A real trainer would train now, with variables in memory that was never copied.
  while let line = readLine() {
    if line == "ask" {
      let clock = ContinuousClock()
      let time = try clock.measure {
        _ = try resolved.checkpoint.resolve(assigning: Student.map, to: Student.variables())
      }
      try FileDescriptor.standardOutput.writeAll("ask: \(time / .microseconds(1))\n".utf8)
      continue
    }
    let tensors =
      line == "resolve"
      ? try resolved.checkpoint.resolve(assigning: Student.map, to: Student.variables()).tensors
      : resolved.tensors
    let isSame = Student.checksums(tensors).elementsEqual(digests, by: ==)
    try FileDescriptor.standardOutput.writeAll("\(line): \(isSame ? "the same" : "other")\n".utf8)
  }
  withExtendedLifetime(resolved) {}
}

let usage = "usage: warmstart-demo-trainer CHECKPOINT\n"
let arguments = CommandLine.arguments.dropFirst()
if arguments.contains("--help") || arguments.contains("-h") {
  try FileDescriptor.standardOutput.writeAll(usage.utf8)
  exit(0)
}
guard arguments.count == 1, let path = arguments.first, !path.hasPrefix("-") else {
  try FileDescriptor.standardError.writeAll(usage.utf8)
  exit(64)
}
do {
  try train(path)
} catch {
  try FileDescriptor.standardError.writeAll("warmstart-demo-trainer: \(error)\n".utf8)
  exit(1)
}
