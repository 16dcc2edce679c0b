package import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartWire

/// Answers the clients that wait at the sockets of a daemon that cannot start.
///
/// Otherwise they would wait until their timeout, and the service manager would start the daemon
/// for them again and again.
package enum StartRefusal {
  /// How long later clients are answered, too: the service manager starts the daemon no more often.
  ///
  /// Chosen, not tuned.
  private static let milliseconds = 500

  /// Answers the clients that wait now and those that connect soon, and hangs up.
  ///
  /// - Parameter reason: Why the daemon cannot start; only administrators get it.
  package static func answer(
    at listeners: [(socket: Socket, endpoint: Endpoint)], reason: String
  ) {
    guard !listeners.isEmpty else { return }
    let end = Deadline.after(milliseconds: milliseconds)
    let hasEnded = Monitor(false)
    // On another thread, because closing a connection closes the files in it, which may hang.
    let answer = { @Sendable in
      while !end.hasPassed { answerWaiting(at: listeners, until: end, reason) }
      hasEnded.notifying { $0 = true }
    }
    do { try Thread.detach(answer) } catch { return }
    _ = hasEnded.wait(until: .after(milliseconds: 2 * milliseconds)) { $0 ? true : nil }
  }

  private static func answerWaiting(
    at listeners: [(socket: Socket, endpoint: Endpoint)], until end: Deadline, _ reason: String
  ) {
    var poll = Poll()
    for listener in listeners { poll.add(listener.socket.descriptor, for: .readable) }
    guard (try? poll.wait(until: end)) == true else { return }
    for (position, listener) in listeners.enumerated()
    where poll.seen(position).contains(.readable) {
      guard let descriptor = try? listener.socket.accept() else { continue }
      let socket = Socket(descriptor)
      guard listener.endpoint != .metrics else {
        Scrape.refuse(socket)
        continue
      }
      let connection = Connection(socket)
      // The frame fits a new socket's buffer; a client that is gone needs no answer.
      try? Responder(connection, 0).fail(
        CallStatus(Problem(.connection, message(for: listener.endpoint, reason))))
    }
  }

  private static func message(for endpoint: Endpoint, _ reason: String) -> String {
    switch endpoint {
    case .administration: "the daemon cannot start: \(reason)"
    case .clients, .metrics:
      "the daemon cannot start, because its settings are wrong: an administrator finds out why with "
        + "systemctl status warmstartd"
    }
  }
}
