import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// Files that have just changed, and files that are no index.
@Suite struct YoungFileTests {
  @Test func `the daemon waits for a young file where file times are coarse`() throws {
    let result = Monitor<(age: Int64, wasYoung: Bool)?>(nil)
    // procfs dates a thread's files by the first look at them, and is not trusted.
    try Thread.detach {
      guard let file = try? File(opening: "/proc/thread-self/status"),
        let status = try? file.status()
      else { return }
      let wasYoung = RealTimeClock.nanoseconds() - status.changed < 10_000_000
      guard let set = try? FileSet([(.index, file)], openedBy: 1000) else { return }
      let age = RealTimeClock.nanoseconds() - set.members[0].status.changed
      result.notifying { $0 = (age, wasYoung) }
    }
    let (age, wasYoung) = try #require(
      result.wait(until: .after(milliseconds: 10_000)) { $0 })
    #expect(wasYoung)
    #expect(age >= 10_000_000)
  }

  @Test(arguments: [0, 1, 47, 48, 1 << 20, 1 << 28])
  func `nothing is reserved for a file without a footer`(_ byteCount: Int) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/no.index"
    try BundleFile.write([], byteCount: byteCount, to: path)
    let files = try FileSet([(.index, try File(opening: FilePath(path)))], openedBy: 1000)
    var reserved: [Int] = []
    #expect(throws: Problem.self) { try Checkpoint.read(files) { reserved.append($0) } }
    #expect(reserved.isEmpty)
  }
}
