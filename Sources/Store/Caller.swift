package import WarmstartKernel
package import WarmstartTensorModel

/// The client that waits for an answer, and its deadline.
///
/// A waiting thread polls the client's socket beside the event that it waits for: a client that
/// hangs up wakes its own thread, and no list of waiting calls is needed.
package struct Caller: Sendable {
  private let socket: Socket?
  private let deadline: Deadline
  private let turn: Turn?

  /// Makes a caller.
  ///
  /// Without a socket it cannot hang up; without a turn it has none to give up.
  package init(_ socket: Socket?, until deadline: Deadline, turn: Turn? = nil) {
    self.socket = socket
    self.deadline = deadline
    self.turn = turn
  }

  /// Runs the body without the caller's turn, which other calls of its user may take meanwhile.
  package func pausing<Result>(
    _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    guard let turn else { return try body() }
    return try turn.pausing(self, body)
  }

  /// Throws CANCELLED if the client has hung up, and DEADLINE if its deadline has passed.
  package func checkIn() throws(Problem) {
    if deadline.hasPassed {
      throw Problem(.deadline, "the call's deadline passed before it was answered")
    }
    if socket?.hasHungUp() == true { throw Problem(.cancelled, "the client has hung up") }
  }

  /// Waits until the client hangs up or its deadline passes; throws as `checkIn` does.
  package func waitForHangUp() throws(Problem) {
    try pausing { () throws(Problem) in
      while true {
        try checkIn()
        var poll = Poll()
        if let socket { poll.add(socket.descriptor, for: .hangUp) }
        do {
          _ = try poll.wait(until: deadline)
        } catch {
          throw Problem(.system, "waiting for the client to hang up failed: \(error)")
        }
      }
    }
  }

  /// How often a waiting call looks at the progress; chosen, not tuned.
  private static let lookMilliseconds = 100

  /// Waits for the flight's end; throws as `checkIn` does.
  ///
  /// - Parameter look: Called ten times a second meanwhile.
  func wait(for flight: Flight, look: (() -> Void)? = nil) throws(Problem) {
    try pausing { () throws(Problem) in try wait(flight, look) }
  }

  private func wait(_ flight: Flight, _ look: (() -> Void)?) throws(Problem) {
    guard let event = try flight.join() else { return }
    defer { flight.leave() }
    var poll = Poll()
    poll.add(event.descriptor, for: .readable)
    if let socket { poll.add(socket.descriptor, for: .hangUp) }
    do {
      if let look {
        while true {
          let next = min(deadline, .after(milliseconds: Caller.lookMilliseconds))
          if try poll.wait(until: next) || deadline.hasPassed { break }
          look()
        }
      } else {
        _ = try poll.wait(until: deadline)
      }
    } catch {
      throw Problem(.system, "waiting for another client's load failed: \(error)")
    }
    if !poll.seen(0).contains(.readable) { try checkIn() }
  }
}
