import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Malformed entries of an index, given directly to the parser.
@Suite struct BundleRefusalTests {
  /// The parser's result for an index with one changed entry.
  private func refusal(_ change: (inout BundleWriter.Entry) -> Void) -> Problem? {
    var writer = BundleWriter()
    writer.add("f", dtype: 1, [2, 3], floats(6))
    writer.change("f", change)
    return refusal(of: writer)
  }

  private func refusal(of writer: BundleWriter) -> Problem? {
    #expect(throws: Problem.self) { try BundleReader.parse(writer.index()) }
  }

  @Test(arguments: [0, 20, 34, 99, 101, -1, Int(Int32.max)])
  func `an impossible dtype is refused`(_ dtype: Int) {
    let problem = refusal { $0.dtype = dtype }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.tensor == "f")
    #expect(problem?.message.contains("unknown dtype \(dtype) in") == true)
  }

  @Test(arguments: [
    [-1], [0, -3], [.min], [1 << 62, 4], [1 << 62, 4, 0], Array(repeating: 2, count: 64),
    [.max, 2], Array(repeating: 1, count: 255),
  ])
  func `an impossible shape is refused`(_ shape: [Int]) {
    let problem = refusal { $0.shape = shape }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("tensor f has the invalid shape [\(shape[0])") == true)
  }

  @Test(arguments: [[0xff, 0xff], [8, 1, 0x12, 0x7f, 0x12], [8, 1, 0x0b]] as [[UInt8]])
  func `an entry that is not a message is refused`(_ bytes: [UInt8]) {
    let problem = refusal { $0.raw = bytes }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("entry of tensor f in index file is not parseable") == true)
  }

  @Test func `a slice of another dtype than its tensor is refused`() {
    var writer = BundleWriter()
    writer.add("p", dtype: 1, [4], floats(4), slices: [[.init(0, 2)], [.init(2, 2)]])
    writer.change(.slice(of: "p", [.init(2, 2)])) { $0.dtype = 3 }
    let problem = refusal(of: writer)
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("has a slice of dtype number 3 in") == true)
  }

  @Test(arguments: [2000, 1 << 20])
  func `more slices than fit the index are refused`(_ count: Int) {
    // An empty slice takes two bytes of the index and many in memory.
    let slices = Array(repeating: [0x3a, 0] as [UInt8], count: count).flatMap { $0 }
    let problem = refusal { $0.raw = [8, 1] + slices }
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("index file expands to more than") == true)
  }

  @Test func `slices in entries that are kept count with the room of their arrays`() {
    // An array that doubled for the last of its extents has room for nearly twice as many.
    let slice = Proto.message(7, Array(repeating: [10, 0], count: 129).flatMap { $0 })
    var entries: [(key: [UInt8], value: [UInt8])] = [(key: [], value: Proto.number(1, 1))]
    for number in UInt8(0)..<100 { entries.append((key: [0, number, 1], value: [8, 1] + slice)) }
    let problem = #expect(throws: Problem.self) {
      try BundleReader.parse(BundleTable().bytes(of: entries))
    }
    #expect(problem?.message.contains("index file expands to more than") == true)
  }

  @Test func `more slices of a long name than the index has keys are refused`() {
    let name = BundleWriter.Key(Array(repeating: 0x6e, count: 60_000))
    var writer = BundleWriter()
    writer.add("f", dtype: 1, [2, 3], floats(6))
    writer.add(name, dtype: 1, [1], floats(1))
    // Without axes, so that a slice takes two bytes, and each slice with its own key.
    let slices = Array(repeating: [0x3a, 0] as [UInt8], count: 1000).flatMap { $0 }
    writer.change(name) { $0.raw = [8, 1] + slices }
    let problem = refusal(of: writer)
    #expect(problem?.reason == .corrupt)
    #expect(problem?.message.contains("more slices of long names than it has keys") == true)
  }

  /// Changes an entry so that it claims more than its file has.
  private struct Claim: Sendable {
    let dtype: Int
    let length: Int
    var offset = 0
    let byteCount: Int
    let reason: Reason
  }

  @Test(arguments: [
    Claim(dtype: 1, length: 1 << 40, byteCount: 24, reason: .corrupt),
    Claim(dtype: 4, length: 1 << 62, byteCount: 1 << 62, reason: .truncated),
    Claim(dtype: 4, length: .max, offset: .max, byteCount: .max, reason: .truncated),
    Claim(dtype: 7, length: 1 << 40, byteCount: 24, reason: .corrupt),
  ])
  private func `a tensor of more elements than fit its file is refused`(
    _ claim: Claim
  ) throws {
    var writer = BundleWriter()
    writer.add("f", dtype: 1, [2, 3], floats(6))
    writer.change("f") { entry in
      (entry.dtype, entry.shape) = (claim.dtype, [claim.length])
      (entry.offset, entry.byteCount) = (claim.offset, claim.byteCount)
    }
    let error = #expect(throws: Problem.self) { try Opened(writer).bytes("f") }
    #expect(error?.reason == claim.reason)
  }

  @Test func `slices of nine axes are read`() throws {
    var writer = BundleWriter()
    let rest = [BundleWriter.Extent](repeating: .whole, count: 8)
    writer.add(
      "deep", dtype: 1, Array(repeating: 2, count: 9), floats(512),
      slices: [[.init(0, 1)] + rest, [.init(1, 1)] + rest])
    #expect(try Opened(writer).bytes("deep") == floats(512))
  }
}
