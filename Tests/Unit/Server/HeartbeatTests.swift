import Testing
import WarmstartKernel
import WarmstartServer

/// The watchdog gets its pings only while workers answer.
@Suite struct HeartbeatTests {
  /// Beats until something must be done.
  private func next(_ heartbeat: inout Heartbeat) -> Heartbeat.Beat {
    while true {
      let beat = heartbeat.beat()
      if beat != .nothing { return beat }
      Thread.sleep(milliseconds: 1)
    }
  }

  @Test func `a ping follows each check that a worker answers`() {
    var heartbeat = Heartbeat(milliseconds: 5)
    for _ in 0..<3 {
      #expect(next(&heartbeat) == .check)
      heartbeat.answer.give()
      #expect(next(&heartbeat) == .ping)
    }
  }

  @Test func `without an answer there is one complaint, and no ping until it comes`() {
    var heartbeat = Heartbeat(milliseconds: 5)
    #expect(next(&heartbeat) == .check)
    #expect(next(&heartbeat) == .complaint)
    Thread.sleep(milliseconds: 20)
    #expect(heartbeat.beat() == .nothing)
    #expect(heartbeat.due == .never)
    heartbeat.answer.give()
    #expect(heartbeat.beat() == .ping)
    #expect(next(&heartbeat) == .check)
  }

  @Test func `without a watchdog there is nothing to do`() {
    var heartbeat = Heartbeat(milliseconds: nil)
    #expect(heartbeat.due == .never)
    #expect(heartbeat.beat() == .nothing)
  }
}
