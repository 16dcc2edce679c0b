import Foundation
import Synchronization
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartSystemd

/// A full log stops no thread.
@Suite struct LogSinkTests {
  private let readEnd: File
  private let sink: LogSink
  /// The write end, which the sink keeps open.
  private let number: CInt

  init() throws {
    let pipe = try FileDescriptor.pipe()
    readEnd = File(Descriptor(adopting: pipe.readEnd.rawValue))
    number = pipe.writeEnd.rawValue
    sink = LogSink(File(Descriptor(adopting: number)), isJournal: false)
    // One page, the least that a pipe can be; F_SETPIPE_SZ.
    let size = fcntl(number, 1031, 4096)
    #expect(size == 4096)
    _ = fcntl(pipe.readEnd.rawValue, F_SETFL, O_NONBLOCK)
  }

  /// The lines in the pipe.
  private func read() throws -> [String] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var bytes: [UInt8] = []
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe Foundation.read(readEnd.descriptor.borrowedNumber(), $0.baseAddress, $0.count)
      }
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    #expect(bytes.isEmpty || bytes.last == UInt8(ascii: "\n"))
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0) }
  }

  /// Runs the body on a separate thread; fails if it does not end.
  private func inTime(_ body: @escaping @Sendable () -> Void) throws {
    let hasEnded = Monitor(false)
    try WarmstartKernel.Thread.detach {
      body()
      hasEnded.notifying { $0 = true }
    }
    try #require(hasEnded.wait(until: .after(milliseconds: 20_000)) { $0 ? true : nil } == true)
  }

  @Test func `lines have the level that the journal reads, or the program's name`() throws {
    sink.write(.warning, "one")
    #expect(try read() == ["warmstartd: one"])
    let journal = LogSink(File(Descriptor(adopting: dup(number))), isJournal: true)
    for (level, line) in [(Log.Level.error, "<3>x"), (.warning, "<4>x"), (.information, "<6>x")] {
      journal.write(level, "x")
      #expect(try read() == [line])
    }
  }

  @Test func `writing does not wait for a full pipe, and dropped lines are counted`() throws {
    let text = String(repeating: "x", count: 1000)
    try inTime { [sink] in for _ in 0..<20 { sink.write(.information, text) } }
    let written = try read()
    #expect((1..<20).contains(written.count))
    #expect(written.allSatisfy { $0 == "warmstartd: " + text })
    sink.write(.information, "again")
    let missing = "warmstartd: \(20 - written.count) messages dropped because the log was full"
    #expect(try read() == [missing, "warmstartd: again"])
    sink.write(.information, "and again")
    #expect(try read() == ["warmstartd: and again"])
  }

  @Test func `a long line after dropped ones is cut, so that both fit`() throws {
    let text = String(repeating: "x", count: LogSink.maximumByteCount)
    try inTime { [sink] in for _ in 0..<2 { sink.write(.information, text) } }
    #expect(try read().count == 1)
    try inTime { [sink] in sink.write(.information, text) }
    let lines = try read()
    #expect(lines[0] == "warmstartd: 1 message dropped because the log was full")
    #expect(lines[1].hasSuffix("x…"))
    #expect(lines.map { $0.utf8.count + 1 }.reduce(0, +) == LogSink.maximumByteCount)
  }

  @Test func `two threads do not use the same room in the pipe`() throws {
    let text = String(repeating: "x", count: LogSink.maximumByteCount)
    let roundCount = 500
    // Woken threads start one after the other; spinning threads start together.
    let round = Counter()
    let endedCount = Monitor(0)
    for _ in 0..<2 {
      try WarmstartKernel.Thread.detach { [sink] in
        for number in 1...roundCount {
          while round.value.load(ordering: .acquiring) < number {}
          sink.write(.information, text)
          endedCount.notifying { $0 += 1 }
        }
      }
    }
    // Lets the threads end if a round fails.
    defer { round.value.store(roundCount, ordering: .releasing) }
    for number in 1...roundCount {
      round.value.store(number, ordering: .releasing)
      let haveEnded = endedCount.wait(until: .after(milliseconds: 20_000)) {
        $0 == 2 * number ? true : nil
      }
      try #require(haveEnded == true)
      let written = try read().filter { !$0.contains("dropped") }
      #expect(written.count == 1)
    }
  }

  @Test(arguments: ["x", "é", "漢", "😀"])
  func `a long line is cut between characters`(character: String) throws {
    for lead in 0..<4 {
      let text = String(repeating: "a", count: lead) + String(repeating: character, count: 5000)
      sink.write(.error, text)
      let line = try #require(try read().first)
      #expect(line.utf8.count < LogSink.maximumByteCount)
      #expect(line.utf8.count > LogSink.maximumByteCount - 1 - 4)
      #expect(line.hasPrefix("warmstartd: \(text.prefix(100))"))
      #expect(line.hasSuffix("\(character)…"))
      #expect(!line.unicodeScalars.contains("\u{fffd}"))
    }
  }

  @Test func `the longest line that fits is whole`() throws {
    for count in [LogSink.maximumByteCount - 13, LogSink.maximumByteCount - 12] {
      sink.write(.error, String(repeating: "x", count: count))
      #expect(try read()[0].hasSuffix("…") == (count > LogSink.maximumByteCount - 13))
    }
  }

  @Test func `a log without a reader is no error`() async {
    await #expect(processExitsWith: .success) {
      try Process.ignoreSignalsOfFailedCalls()
      let pipe = try FileDescriptor.pipe()
      try pipe.readEnd.close()
      let sink = LogSink(File(Descriptor(adopting: pipe.writeEnd.rawValue)), isJournal: false)
      for _ in 0..<3 { sink.write(.information, "x") }
    }
  }
}

/// A number that threads read without a lock.
private final class Counter: Sendable {
  let value = Atomic(0)
}
