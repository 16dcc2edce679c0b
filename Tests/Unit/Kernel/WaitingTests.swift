import Glibc
import SystemPackage
import Testing
import WarmstartKernel

/// Deadlines, monitors, events and polls: every wait ends, by what it waits for or by its deadline.
@Suite struct WaitingTests {
  // MARK: Deadlines

  @Test func `a deadline passes, never does not`() {
    #expect(Deadline.after(milliseconds: 0).hasPassed)
    #expect(Deadline.after(milliseconds: -5).hasPassed)
    #expect(Deadline.after(milliseconds: .min).hasPassed)
    #expect(!Deadline.after(milliseconds: 10_000).hasPassed)
    #expect(!Deadline.never.hasPassed)
    #expect(Deadline.never.remainingMilliseconds == nil)
    let remaining = Deadline.after(milliseconds: 10_000).remainingMilliseconds ?? 0
    #expect((9_000...10_001).contains(remaining))
  }

  @Test(arguments: [Int.max, Int.max / 1_000_000, Int.max / 1_000_000 + 1, Int.max / 1_000_000 - 1])
  func `a deadline beyond the clock is clamped, never wrapped`(_ milliseconds: Int) {
    let deadline = Deadline.after(milliseconds: milliseconds)
    #expect(!deadline.hasPassed)
    #expect((deadline.remainingMilliseconds ?? .max) > 1_000_000)
  }

  @Test func `never is after all others`() {
    let soon = Deadline.after(milliseconds: 10)
    let late = Deadline.after(milliseconds: 10_000)
    #expect(soon < late)
    #expect(late < .never)
    #expect(!(Deadline.never < .never))
    #expect(min(.never, soon) == soon)
  }

  // MARK: Monitors

  @Test func `eight contending threads lose no update`() throws {
    let counted = Monitor((sum: 0, finished: 0))
    for _ in 0..<8 {
      try Thread.detach {
        for _ in 0..<10_000 { counted.withLock { $0.sum += 1 } }
        counted.notifying { $0.finished += 1 }
      }
    }
    let sum = counted.wait(until: .after(milliseconds: 30_000)) { $0.finished == 8 ? $0.sum : nil }
    #expect(sum == 80_000)
  }

  @Test func `eight threads take turns`() throws {
    let turn = Monitor(0)
    for number in 0..<8 {
      try Thread.detach {
        for round in 0..<100 {
          let isMine = turn.wait(until: .after(milliseconds: 30_000)) {
            $0 == round * 8 + number ? true : nil
          }
          guard isMine != nil else { return }
          turn.notifying { $0 += 1 }
        }
      }
    }
    #expect(turn.wait(until: .after(milliseconds: 30_000)) { $0 == 800 ? true : nil } == true)
  }

  @Test func `a wait ends at its deadline, after checking once more`() {
    let monitor = Monitor(0)
    let start = MonotonicClock.nanoseconds()
    let result = monitor.wait(until: .after(milliseconds: 30)) { asked -> Bool? in
      asked += 1
      return nil
    }
    #expect(result == nil)
    #expect(MonotonicClock.nanoseconds() - start >= 30_000_000)
    #expect(monitor.withLock { $0 } >= 2)
    #expect(monitor.wait(until: .after(milliseconds: 0)) { $0 } ?? 0 >= 2)
  }

  @Test func `a notification for one wakes one of two threads that wait`() throws {
    let tokens = Monitor((free: 0, taken: 0))
    for _ in 0..<2 {
      try Thread.detach {
        let token = tokens.wait(until: .after(milliseconds: 30_000)) { state -> Bool? in
          guard state.free > 0 else { return nil }
          state.free -= 1
          state.taken += 1
          return true
        }
        if token != nil { tokens.notifying { _ in } }
      }
    }
    for count in 1...2 {
      tokens.notifyingOne { $0.free += 1 }
      let taken = tokens.wait(until: .after(milliseconds: 30_000)) {
        $0.taken == count ? $0.taken : nil
      }
      #expect(taken == count)
    }
  }

  @Test func `an error leaves the monitor unlocked`() {
    let monitor = Monitor(1)
    #expect(throws: Errno.invalidArgument) {
      try monitor.withLock { (value: inout Int) throws(Errno) in
        value = 2
        throw .invalidArgument
      }
    }
    #expect(monitor.withLock { $0 } == 2)
  }

  // MARK: Events and polling

  @Test func `every thread that polls for an event sees it until it is reset`() throws {
    let event = try Event()
    func isReadable() throws -> Bool {
      var poll = Poll()
      poll.add(event.descriptor, for: .readable)
      return try poll.wait(until: .after(milliseconds: 0)) && poll.seen(0).contains(.readable)
    }
    #expect(try !isReadable())
    event.signal()
    event.signal()
    #expect(try isReadable())
    #expect(try isReadable())
    event.reset()
    #expect(try !isReadable())
    event.reset()
    event.signal()
    #expect(try isReadable())
  }

  @Test func `a poll wakes for the descriptor that is ready`() throws {
    let (first, second) = (try Event(), try Event())
    try Thread.detach {
      _ = Monitor(0).wait(until: .after(milliseconds: 20)) { _ in nil as Bool? }
      second.signal()
    }
    var poll = Poll()
    poll.add(first.descriptor, for: .readable)
    poll.add(second.descriptor, for: .readable)
    #expect(try poll.wait(until: .after(milliseconds: 30_000)))
    #expect(poll.seen(0) == [])
    #expect(poll.seen(1) == .readable)
  }

  @Test func `a poll of no or many descriptors ends at its deadline`() throws {
    var poll = Poll()
    #expect(try !poll.wait(until: .after(milliseconds: 5)))
    let events = try (0..<40).map { _ in try Event() }
    for event in events { poll.add(event.descriptor, for: .readable) }
    let start = MonotonicClock.nanoseconds()
    #expect(try !poll.wait(until: .after(milliseconds: 20)))
    #expect(MonotonicClock.nanoseconds() - start >= 20_000_000)
    events[39].signal()
    #expect(try poll.wait(until: .never))
    #expect(poll.seen(39) == .readable)
  }

  @Test func `a peer that closes is seen without reading`() throws {
    let (ours, theirs) = try Socket.pair()
    #expect(!ours.hasHungUp())
    _ = try theirs.send([1, 2].rawSpan, waiting: true)
    #expect(!ours.hasHungUp())
    theirs.shutDown(writingToo: true)
    #expect(ours.hasHungUp())
    // What was sent before can still be read.
    var buffer = [UInt8](repeating: 0, count: 2)
    var files: [File] = []
    #expect(
      try ours.receive(into: &buffer, range: 0..<2, descriptors: &files, waiting: true) == 2)
  }

  @Test func `a stale socket is replaced, a live one is not`() throws {
    let path = FilePath("/tmp/warmstart-\(Process.id)-\(MonotonicClock.nanoseconds())")
    defer { File.remove(path) }
    func listenBriefly() throws { _ = try Socket(listeningAt: path, mode: 0o600) }
    try listenBriefly()
    #expect(throws: Errno.connectionRefused) { _ = try Socket(connectingTo: path) }
    let listener = try Socket(listeningAt: path, mode: 0o600)
    #expect(listener.isListening)
    #expect(throws: Errno.addressInUse) { _ = try Socket(listeningAt: path, mode: 0o600) }
    let client = try Socket(connectingTo: path)
    // The first is the one that asked whether somebody listens.
    for _ in 0..<2 { #expect(try Socket(listener.accept()).peer().pid == Int32(Process.id)) }
    #expect(!client.isListening)
    #expect(throws: Errno.wouldBlock) { _ = try listener.accept() }
  }

  @Test func `a poll sees that a peer has hung up`() throws {
    let (ours, theirs) = try Socket.pair()
    var poll = Poll()
    poll.add(ours.descriptor, for: [.writable, .hangUp])
    #expect(try poll.wait(until: .after(milliseconds: 0)))
    #expect(poll.seen(0) == .writable)
    theirs.shutDown(writingToo: true)
    #expect(try poll.wait(until: .after(milliseconds: 30_000)))
    #expect(poll.seen(0).contains(.hangUp))
  }

  @Test func `a thread that sleeps wakes no earlier`() {
    let start = MonotonicClock.nanoseconds()
    Thread.sleep(milliseconds: 20)
    #expect(MonotonicClock.nanoseconds() - start >= 20_000_000)
    Thread.sleep(milliseconds: .min)
  }

  @Test func `a path too long for a socket is refused`() {
    #expect(throws: Errno.fileNameTooLong) {
      _ = try Socket(connectingTo: FilePath(String(repeating: "x", count: 200)))
    }
  }

  @Test func `a thread's body and everything it owns end with the thread`() throws {
    final class Token: Sendable {
      let ended: Monitor<Bool>
      init(_ ended: Monitor<Bool>) { self.ended = ended }
      deinit { ended.notifying { $0 = true } }
    }
    let ended = Monitor(false)
    func start() throws {
      let token = Token(ended)
      try Thread.detach { _ = token.ended }
    }
    try start()
    #expect(ended.wait(until: .after(milliseconds: 10_000)) { $0 ? true : nil } == true)
  }
}
