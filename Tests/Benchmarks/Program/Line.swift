import Foundation

/// The line that shows an operation's times and counts to people.
struct Line {
  let text: String

  /// Measures blocks of the operation and of its floor by turns, so that other work on the machine
  /// slows both.
  init(_ operation: Operation, _ bench: Bench) throws {
    let floor = try operation.floor?.prepare(bench)
    let body = try operation.prepare(bench)
    var samples = Samples()
    var floorSamples = Samples()
    for _ in 0..<operation.blocks {
      if let floor { try floorSamples.take(operation.calls, of: floor) }
      try samples.take(operation.calls, of: body)
    }
    var columns = [Line.padded(operation.name, 20), Line.times(samples)]
    if let floor = operation.floor {
      let ratio = Double(samples.best) / Double(floorSamples.best)
      columns += [
        "|", Line.padded(floor.name, 10), Line.times(floorSamples),
        "| ratio \(String(format: "%5.2f", ratio))",
      ]
    }
    if let byteCount = operation.byteCount {
      columns.append(String(format: "| %.1f GB/s", Double(byteCount) / Double(samples.best)))
    }
    if operation.counted > 0 { columns += ["|", try Counts.text(operation)] }
    text = columns.joined(separator: " ")
  }

  private static func times(_ samples: Samples) -> String {
    func micro(_ value: Int64) -> String { String(format: "%9.1f", Double(value) / 1000) }
    return
      "median \(micro(samples.median)) p99 \(micro(samples.p99)) best \(micro(samples.best)) us"
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0)
  }
}
