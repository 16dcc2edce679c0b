/// How much the daemon takes on before it refuses, with a reply, what comes on top.
package struct Limits: Sendable {
  /// Connections of clients in all; each has a thread while it lives.
  package var connections = 2048
  /// Connections on the socket of administration, on top: a full daemon can still be asked.
  ///
  /// Chosen, not tuned.
  package var administrationConnections = 16
  /// Connections of one user, if that is less than three quarters of what others leave.
  package var connectionsPerUser = 1024
  /// Files that are kept open for all users: passed by clients, held by residents, and arenas.
  package var descriptors = 32768
  /// Files of all users on frames that are being received and answered.
  package var filesInFlight = 4096
  /// Memory for all users' connections, and messages that are being received and answered.
  package var messageByteCount = 1536 << 20
  /// Checkpoints that one connection has open.
  package var handles = 64
  /// How long calls in flight may go on after the daemon was told to stop.
  package var drainMilliseconds = 5000

  package init() {}

  /// Fits the limits to the descriptors that the process may have, so that they cannot run out.
  ///
  /// An eighth is for connections, as much for files on frames, and up to half for files that are
  /// kept. A connection that waits has one more, and the daemon itself some: it can always accept,
  /// if there are 256.
  package mutating func fit(descriptors count: Int) {
    connections = min(connections, max(8, count / 8))
    connectionsPerUser = min(connectionsPerUser, connections)
    filesInFlight = min(filesInFlight, max(96, count / 8))
    let left = count - 2 * connections - filesInFlight - 40
    descriptors = min(descriptors, max(16, min(count / 2, left)))
  }

  /// The connections that one user can have if nobody else has any.
  package var ownConnections: Int {
    min(
      connectionsPerUser, connections - connections / 4,
      (messageByteCount - messageByteCount / 4) / Clients.connectionByteCount)
  }

  /// Fits the limits to the memory that the process may have.
  package mutating func fit(memory byteCount: Int) {
    messageByteCount = min(messageByteCount, byteCount / 4)
  }
}
