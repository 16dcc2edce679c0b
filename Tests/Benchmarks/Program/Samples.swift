/// Durations of one operation, in nanoseconds, taken in blocks.
///
/// On a small virtual machine whole stretches of round trips run at half speed. The best block's
/// median shows what the code costs; the median and p99 of all samples show the machine.
struct Samples {
  private(set) var all: [Int64] = []
  private(set) var best = Int64.max

  /// Runs a block of calls.
  mutating func take(_ count: Int, of body: Operation.Body) throws {
    var block: [Int64] = []
    for _ in 0..<count {
      let duration = try body()
      precondition(duration > 0, "error \(duration)")
      block.append(duration)
    }
    best = min(best, Samples.quantile(block, 0.5))
    all += block
  }

  var median: Int64 { Samples.quantile(all, 0.5) }
  var p99: Int64 { Samples.quantile(all, 0.99) }

  private static func quantile(_ values: [Int64], _ part: Double) -> Int64 {
    let sorted = values.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
  }
}
