package import WarmstartKernel
package import WarmstartTensorModel

/// Who waits for an answer, and for how long.
///
/// Waiting polls the caller's own socket beside what it waits for: a client that hangs up wakes its
/// own thread, and nobody has to keep a list of who waits.
package struct Caller: Sendable {
  private let socket: Socket?
  private let deadline: Deadline
  private let turn: Turn?

  /// Makes a caller; without a socket it cannot hang up, without a turn it waits for none.
  package init(_ socket: Socket?, until deadline: Deadline, turn: Turn? = nil) {
    self.socket = socket
    self.deadline = deadline
    self.turn = turn
  }

  /// Runs the body while others of the caller's user may have their turn.
  package func pausing<Result>(
    _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    guard let turn else { return try body() }
    return try turn.pausing(self, body)
  }

  /// Throws if the caller has hung up or its deadline has passed.
  package func checkIn() throws(Problem) {
    if deadline.hasPassed {
      throw Problem(.deadline, "the call's deadline passed before it was answered")
    }
    if socket?.hasHungUp() == true { throw Problem(.cancelled, "the client has hung up") }
  }

  /// Waits until the caller hangs up or its deadline passes; throws which, as `checkIn` does.
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

  /// How often somebody who waits looks how far it is; chosen, not tuned.
  private static let lookMilliseconds = 100

  /// Waits for the flight's end; throws as `checkIn` does.
  ///
  /// `look` is called now and then, if it is given.
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
