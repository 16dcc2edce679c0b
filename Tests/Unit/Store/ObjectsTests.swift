import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// The object graph of a resident: read once, charged, and remembered.
@Suite(.serialized) struct ObjectsTests {
  private static func writer(_ count: Int = 1000) -> BundleWriter {
    var writer = BundleWriter()
    var root = ObjectGraphWriter.Object()
    for number in 0..<count { root.addChild("\(number)", 0) }
    writer.addGraph(ObjectGraphWriter([root]).bytes)
    return writer
  }

  @Test func `ten callers have the graph parsed once`() throws {
    let store = Store(share: 1 << 30, lingerMilliseconds: 60_000)
    let warm = try Warm(Self.writer())
    let crew = try Crew(10) { _ in
      outcome {
        try warm.open(store).objects(from: warm.files(), for: .patient)
      }
    }
    let all = try crew.outcomes().map { try $0.get() }
    #expect(all.allSatisfy { $0 === all[0] })
    #expect(all[0].graph.children.objects.count == 1000)
  }

  @Test func `the graph is charged as long as the checkpoint is held`() throws {
    let store = Store(share: 1 << 30, lingerMilliseconds: 0)
    let warm = try Warm(Self.writer())
    do {
      let lease = try warm.open(store)
      let before = store.accounts.amount(of: .memory)
      let graph = try lease.objects(from: warm.files(), for: .patient).graph
      #expect(store.accounts.amount(of: .memory) - before >= graph.memoryByteCount)
      #expect(store.accounts.amount(of: .memory) - before < 2 * graph.memoryByteCount)
    }
    #expect(store.accounts.amount(of: .memory) == 0)
  }

  @Test func `a graph over the budget is refused, and nothing stays charged`() throws {
    let warm = try Warm(Self.writer(10_000))
    let store = Store(share: 256 << 10, lingerMilliseconds: 0)
    let lease = try warm.open(store)
    let before = store.accounts.amount(of: .memory)
    for _ in 0..<2 {
      let error = #expect(throws: Problem.self) {
        try lease.objects(from: warm.files(), for: .patient)
      }
      #expect(error?.reason == .budget)
    }
    #expect(store.accounts.amount(of: .memory) == before)
  }

  @Test func `a caller's missed deadline fails no other call`() throws {
    let store = Store(share: 1 << 30, lingerMilliseconds: 0)
    let warm = try Warm(Self.writer())
    let lease = try warm.open(store)
    let late = Caller(nil, until: .after(milliseconds: 0))
    let error = #expect(throws: Problem.self) {
      try lease.objects(from: warm.files(), for: late)
    }
    #expect(error?.reason == .deadline)
    _ = try lease.objects(from: warm.files(), for: .patient)
  }

  @Test func `a graph beyond the length limit is refused before it is charged`() throws {
    var writer = Self.writer()
    writer.change(ObjectGraphWriter.key) {
      $0.byteCount = Checkpoint.maximumObjectGraphByteCount + 1
    }
    let warm = try Warm(writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 0)
    let lease = try warm.open(store)
    let error = #expect(throws: Problem.self) {
      try lease.objects(from: warm.files(), for: .patient)
    }
    #expect(error?.reason == .unsupported)
  }
}
