import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartSystemd
import WarmstartTestSupport

/// Events go to the journal as entries with fields, and never wait for it.
@Suite(.serialized, .descriptorsBalanced) struct JournalTests {
  private let directory: TemporaryDirectory
  private let receiver: DatagramReceiver
  private let sink: LogSink

  init() throws {
    directory = try TemporaryDirectory()
    let path = directory.path + "/journal"
    receiver = DatagramReceiver(path)
    sink = LogSink(
      try File(creating: FilePath(directory.path + "/lines")), isJournal: true,
      journal: try Journal(at: FilePath(path)))
  }

  /// The fields of an entry in the journal's protocol, each with its length.
  private func fields(_ entry: [UInt8]) -> [String: String] {
    var fields: [String: String] = [:]
    var rest = entry[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let name = String(decoding: rest[..<end], as: UTF8.self)
      let length = rest[(end + 1)..<(end + 9)].reversed().reduce(0) { $0 << 8 | Int($1) }
      fields[name] = String(decoding: rest[(end + 9)..<(end + 9 + length)], as: UTF8.self)
      #expect(rest[end + 9 + length] == UInt8(ascii: "\n"))
      rest = rest[(end + 10 + length)...]
    }
    #expect(rest.isEmpty)
    return fields
  }

  /// The fields of the next entry.
  private func next() throws -> [String: String] {
    fields(try #require(receiver.nextBytes()))
  }

  private func lines() throws -> String {
    let file = try File(opening: FilePath(directory.path + "/lines"))
    return String(decoding: try file.readAll(limit: 10_000) ?? [], as: UTF8.self)
  }

  @Test func `an entry has the event's id, level, text and fields`() throws {
    sink.write(
      LogEvent(.refusedByBudget, "two\nlines", [(.user, "alice"), (.byteCount, "4096")]))
    #expect(
      try next() == [
        "MESSAGE": "two\nlines", "PRIORITY": "4",
        "MESSAGE_ID": LogEvent.Kind.refusedByBudget.rawValue, "SYSLOG_IDENTIFIER": "warmstartd",
        "WARMSTART_USER": "alice", "WARMSTART_BYTES": "4096",
      ])
    #expect(try lines().isEmpty)
  }

  @Test func `writing does not wait for a full journal, and dropped events are counted`() throws {
    // More than the queue of any datagram socket here.
    let hasEnded = Monitor(false)
    try Thread.detach { [sink] in
      for number in 0..<2000 { sink.write(LogEvent(.loaded, "\(number)")) }
      hasEnded.notifying { $0 = true }
    }
    try #require(hasEnded.wait(until: .after(milliseconds: 20_000)) { $0 ? true : nil } == true)
    var writtenCount = 0
    while receiver.nextBytes() != nil { writtenCount += 1 }
    #expect((1..<2000).contains(writtenCount))
    sink.write(LogEvent(.loaded, "again"))
    let dropped = try next()
    #expect(dropped["MESSAGE_ID"] == LogEvent.Kind.dropped.rawValue)
    #expect(dropped["WARMSTART_COUNT"] == "\(2000 - writtenCount)")
    #expect(try next()["MESSAGE"] == "again")
    #expect(receiver.nextBytes() == nil)
  }

  @Test func `an event becomes a line if the journal's socket is missing`() throws {
    let sink = LogSink(
      try File(creating: FilePath(directory.path + "/lines")), isJournal: true,
      journal: try Journal(at: FilePath(directory.path + "/missing")))
    sink.write(LogEvent(.damaged, "text", [(.user, "alice")]))
    #expect(try lines() == "<4>text\n")
  }

  @Test func `a long text is cut`() throws {
    sink.write(LogEvent(.started, String(repeating: "é", count: 10_000)))
    let text = try #require(try next()["MESSAGE"])
    #expect(text.utf8.count <= LogSink.maximumByteCount)
    #expect(text.hasSuffix("é…"))
  }

  @Test func `a stream is the journal's only if its device and inode are those named`() throws {
    let file = try File(opening: FilePath(directory.path + "/lines"))
    let status = try file.status()
    #expect(Journal.reads(file, named: "\(status.device):\(status.inode)"))
    #expect(!Journal.reads(file, named: "\(status.device):\(status.inode + 1)"))
    #expect(!Journal.reads(file, named: "8:x"))
    #expect(!Journal.reads(file, named: ""))
  }

  @Test func `each kind has an id of its own, of 32 digits`() {
    let ids = LogEvent.Kind.allCases.map(\.rawValue)
    #expect(Set(ids).count == ids.count)
    #expect(ids.allSatisfy { $0.count == 32 && $0.allSatisfy("0123456789abcdef".contains) })
  }
}
