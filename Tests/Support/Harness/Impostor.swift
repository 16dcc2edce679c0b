internal import SystemPackage
package import WarmstartKernel
internal import WarmstartServer
internal import WarmstartTestSupport
internal import WarmstartWire

/// A listener in the daemon's place, which handles each connection as a test says.
package final class Impostor: Sendable {
  private let directory: TemporaryDirectory
  private let ended = Monitor((count: 0, failures: [String]()))
  /// Where it listens.
  package let socketPath: String

  /// Listens, and passes a number of connections to the body, one after the other.
  package init(
    connections count: Int = 1, _ body: @escaping @Sendable (Socket) throws -> Void
  ) throws {
    directory = try TemporaryDirectory()
    socketPath = directory.path + "/s"
    let listener = try Socket(listeningAt: FilePath(socketPath), mode: 0o600)
    let ended = ended
    try Thread.detach {
      for _ in 0..<count {
        do {
          var poll = Poll()
          poll.add(listener.descriptor, for: .readable)
          guard try poll.wait(until: .after(milliseconds: 20_000)) else { break }
          try body(Socket(try listener.accept()))
        } catch {
          ended.withLock { $0.failures.append("\(error)") }
        }
        ended.notifying { $0.count += 1 }
      }
    }
  }

  /// Plays the daemon of a transcript on each connection.
  package convenience init(playing transcript: Transcript, connections: Int = 1) throws {
    try self.init(connections: connections) { socket in
      try transcript.play(.daemon, on: Peer(socket))
    }
  }

  /// Lets a daemon serve each connection.
  package convenience init(_ served: ServedDaemon, connections: Int = 1) throws {
    try self.init(connections: connections) { socket in
      guard let client = served.daemon.admit(socket, by: .clients) else { return }
      served.daemon.serve(client, Connection.Memory())
    }
  }

  /// Waits until a number of connections have ended; returns the errors.
  package func failures(afterConnections count: Int = 1) -> [String] {
    ended.wait(until: .after(milliseconds: 20_000)) { ended in
      ended.count >= count ? ended.failures : nil
    } ?? ["a connection has not ended"]
  }
}
