/// How much the daemon takes on before it refuses, with a reply, what comes on top.
package struct Limits: Sendable {
  /// Connections of clients in all; each has a thread while it lives.
  package var connections = 2048
  /// Connections on the socket of administration, on top: a full daemon can still be asked.
  ///
  /// Chosen, not tuned.
  package var administrationConnections = 16
  /// Connections of one user.
  package var connectionsPerUser = 1024
  /// Files that the connections of one user hold in all.
  package var filesPerUser = 16384
  /// Files of one user on frames that are being received and answered.
  package var filesInFlightPerUser = 4096
  /// Memory for the requests of one user that are being received and answered, beyond small ones.
  package var requestByteCountPerUser = 1 << 30
  /// Checkpoints that one connection has open.
  package var handles = 64
  /// How long calls in flight may go on after the daemon was told to stop.
  package var drainMilliseconds = 5000

  package init() {}

  /// How much of something the connections of one user share.
  subscript(share: Share) -> Int {
    switch share {
    case .files: filesPerUser
    case .filesInFlight: filesInFlightPerUser
    case .requestBytes: requestByteCountPerUser
    }
  }

  /// Lowers the limits so that the process's descriptors cannot run out.
  package mutating func fit(descriptors: Int) {
    // Half for connections and what the daemon itself needs, half for files.
    connections = min(connections, max(8, descriptors / 4))
    connectionsPerUser = min(connectionsPerUser, connections)
    filesPerUser = min(filesPerUser, max(16, descriptors / 2))
    filesInFlightPerUser = min(filesInFlightPerUser, max(64, descriptors / 8))
  }
}
