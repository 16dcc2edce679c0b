import Foundation
import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Reading an index asks again and again whether a caller still waits.
@Suite struct CheckInTests {
  /// The most entries between two questions.
  private static let stepCount = 1 << 14

  /// Counts the questions, and stops the reading at one of them.
  private final class Asked {
    private(set) var count = 0
    private let last: Int

    init(last: Int = .max) {
      self.last = last
    }

    func checkIn() throws(Problem) {
      count += 1
      if count == last { throw Problem(.cancelled, "gone") }
    }
  }

  private func expectCheckIns(_ count: Int, reading opened: Opened) throws {
    // The directory lives as long as the opened checkpoint.
    defer { _ = opened.directory }
    let files = opened.files
    let asked = Asked()
    _ = try Checkpoint.read(files, reserving: { _ in }, checkIn: asked.checkIn)
    #expect(asked.count >= count)
    let stopped = Asked(last: 2)
    let problem = #expect(throws: Problem.self) {
      try Checkpoint.read(files, reserving: { _ in }, checkIn: stopped.checkIn)
    }
    #expect(problem?.reason == .cancelled)
    #expect(stopped.count == 2)
  }

  @Test func `reading an index asks between batches of tensors whether to go on`() throws {
    var writer = BundleWriter()
    for number in 0..<40_000 { writer.add(.init("t\(number)"), dtype: 4, [0], []) }
    try expectCheckIns(40_000 / Self.stepCount, reading: Opened(writer))
  }

  @Test(arguments: ["x", "\u{0}x"])
  func `reading an index asks between batches of slices whether to go on`(_ name: String) throws {
    var writer = BundleWriter()
    var list = BundleWriter.Entry()
    (list.dtype, list.shape, list.slices) = (4, [40_000], (0..<40_000).map { [.init($0, 1)] })
    writer.insert(.init(name), list)
    for slice in list.slices { writer.add(.slice(of: .init(name), slice), dtype: 4, [1], []) }
    // The entries, and the list of them.
    try expectCheckIns(2 * 40_000 / Self.stepCount, reading: Opened(writer))
  }

  @Test func `reading lists of V1 tables asks between any two whether to go on`() throws {
    var writer = SavedSlicesWriter()
    for number in 0..<5 {
      writer.add(
        .init("t\(number)"), dtype: 4, [1], [([.whole], .varints(7, [number]))], in: number)
    }
    try expectCheckIns(4, reading: Opened(writer))
  }

  /// A long value of each kind, which is skipped.
  @Test(arguments: [
    ("\"", "x", "\""), ("\"", #"\u0041"#, "\""), ("[0", ",1", "]"), ("1", "0", ""),
    ("{\"a\":0", ",\"a\":0", "}"),
  ])
  func `reading a header asks within a long value whether to go on`(
    _ start: String, _ part: String, _ end: String
  ) throws {
    let byteCount = 1 << 20
    let long = start + String(repeating: part, count: byteCount / part.utf8.count) + end
    let header = Array(
      #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"note":\#(long)}}"#.utf8)
    let file = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/model.safetensors"
    try Data(file).write(to: URL(filePath: path))
    let opened = try Opened(
      tables: BundleWriter.Bundle(prefix: path, index: path, shards: [path], entries: [:]),
      in: directory)
    try expectCheckIns(byteCount / JSONScanner.bytesBetweenCheckIns - 1, reading: opened)
  }

  @Test func `what the escapes of a long string stand for is found step by step`() throws {
    let stopped = Asked(last: 40)
    var json = try JSONScanner(
      Array("\"\(String(repeating: #"\u0041"#, count: 300_000))\"".utf8),
      checkIn: stopped.checkIn)
    let text = try json.string()
    #expect(stopped.count < 40)
    let error = #expect(throws: JSONError.self) { _ = try json.content(text) }
    #expect(error?.stop?.reason == .cancelled)
    #expect(try !json.equals(text, "weight_map"))
  }

  @Test func `a V1 record that goes to a piece is copied in steps`() throws {
    var writer = SavedSlicesWriter()
    writer.add("x", dtype: 4, [4 << 20], .varints(7, Array(repeating: 1, count: 4 << 20)))
    let opened = try Opened(writer)
    let asked = Asked()
    #expect(try opened.bytes("x", checkIn: asked.checkIn).count == 4 << 20)
    // Once for each 512 KiB that are read, and once for each that are copied.
    #expect(asked.count >= 16)
  }

  @Test func `reading the list of one V1 table asks between batches whether to go on`() throws {
    var tensors = SavedSlicesWriter()
    for number in 0..<40_000 { tensors.add(.init("t\(number)"), dtype: 4, [1], []) }
    try expectCheckIns(40_000 / Self.stepCount, reading: Opened(tensors))
    var slices = SavedSlicesWriter()
    slices.add("x", dtype: 4, [40_000], (0..<40_000).map { ([.init($0, 1)], nil) })
    try expectCheckIns(40_000 / Self.stepCount, reading: Opened(slices))
  }
}
