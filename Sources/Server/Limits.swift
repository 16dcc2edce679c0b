/// The most that the daemon takes on; it refuses what exceeds a limit, with a reply.
package struct Limits: Sendable {
  /// Connections of all clients together; each has a thread while it lasts.
  package var connections = 2048
  /// Connections to the administrators' socket, beside those of clients: a full daemon still answers
  /// administrators.
  ///
  /// Chosen, not tuned.
  package var administrationConnections = 16
  /// Connections that ask for the metrics; each ends within seconds.
  ///
  /// Chosen, not tuned.
  package var metricsConnections = 8
  /// Connections of one user, where three quarters of what other users leave would be more.
  package var connectionsPerUser = 1024
  /// Files that are kept open for all users: those that clients passed, those that residents hold,
  /// and arenas.
  package var descriptors = 32768
  /// Files of all users on frames that are being received or answered.
  package var filesInFlight = 4096
  /// Bytes for all users' connections, and for messages that are being received or answered.
  package var messageByteCount = 1536 << 20
  /// Checkpoints that one connection may have open.
  package var handles = 64
  /// How long calls in flight may go on after a signal asked the daemon to stop.
  package var drainMilliseconds = 5000

  package init() {}

  /// Fits the limits to the descriptors that the process may have, so that they cannot run out.
  ///
  /// Connections get an eighth, files on frames another eighth, and kept files up to a half. A
  /// connection that waits needs one more, and the daemon itself a few: with 256 descriptors it can
  /// always accept.
  package mutating func fit(descriptors count: Int) {
    connections = min(connections, max(8, count / 8))
    connectionsPerUser = min(connectionsPerUser, connections)
    filesInFlight = min(filesInFlight, max(96, count / 8))
    let left = count - 2 * connections - filesInFlight - 40
    descriptors = min(descriptors, max(16, min(count / 2, left)))
  }

  /// The connections that one user can have while other users have none.
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
