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

  @Test func `reading the list of one V1 table asks between batches whether to go on`() throws {
    var tensors = SavedSlicesWriter()
    for number in 0..<40_000 { tensors.add(.init("t\(number)"), dtype: 4, [1], []) }
    try expectCheckIns(40_000 / Self.stepCount, reading: Opened(tensors))
    var slices = SavedSlicesWriter()
    slices.add("x", dtype: 4, [40_000], (0..<40_000).map { ([.init($0, 1)], nil) })
    try expectCheckIns(40_000 / Self.stepCount, reading: Opened(slices))
  }
}
