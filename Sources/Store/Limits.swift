package import WarmstartConfiguration
import WarmstartKernel

/// The most that the daemon takes on; it refuses what exceeds a limit, with a reply.
///
/// Limits follow from the configuration, and from what the machine and the service manager allow.
package struct Limits: Sendable, Hashable {
  /// Bytes for arenas and indexes of all users.
  package var memoryByteCount = Int.max
  /// How long a checkpoint stays after its last lease.
  package var lingerMilliseconds: Int
  /// Bytes of files that the store leaves in the page cache.
  ///
  /// It drops what it reads beyond that, so that a large file, or a sparse one that costs its owner
  /// nothing, does not push everything else out of memory.
  package var warmFileByteCount = Int.max
  /// Loads of one user that run at a time.
  package var loadsPerUser = 2
  /// Connections of all clients together; each has a thread while it lasts.
  package var connections: Int
  /// Connections to the administrators' socket, beside those of clients: a full daemon still
  /// answers administrators.
  ///
  /// Chosen, not tuned.
  package var administrationConnections = 16
  /// Connections that ask for the metrics; each ends within seconds.
  ///
  /// Chosen, not tuned.
  package var metricsConnections = 8
  /// Connections of one user, where three quarters of what other users leave would be more.
  package var connectionsPerUser: Int
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

  /// The bytes that a connection takes between calls, for its buffers and its thread.
  package static let connectionByteCount = 128 << 10

  /// Makes limits from a configuration, on a machine that has enough of everything.
  package init(_ configuration: Configuration = Configuration()) {
    lingerMilliseconds = configuration.lingerSeconds * 1000
    connections = configuration.maxConnections
    connectionsPerUser = configuration.maxConnectionsPerUser
    memoryByteCount = configuration.budget?.byteCount(ofMachineWith: .max) ?? .max
  }

  /// Makes the limits of a daemon that may use these descriptors and bytes of memory.
  package init(
    _ configuration: Configuration, descriptors: Int, memory byteCount: Int,
    physicalByteCount: Int = Process.physicalByteCount
  ) {
    self.init(configuration)
    fit(descriptors: descriptors)
    memoryByteCount =
      configuration.budget?.byteCount(ofMachineWith: physicalByteCount) ?? byteCount / 2
    warmFileByteCount = byteCount / 2
    messageByteCount = min(messageByteCount, byteCount / 4)
    loadsPerUser = max(2, Process.processorCount)
  }

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
      (messageByteCount - messageByteCount / 4) / Limits.connectionByteCount)
  }
}

/// The limits that hold now.
///
/// Whatever observes a limit asks here each time, because a reload changes it.
package final class CurrentLimits: Sendable {
  private let limits: Monitor<Limits>

  package init(_ limits: Limits) {
    self.limits = Monitor(limits)
  }

  /// The limits as they are now.
  package var now: Limits { limits.withLock { $0 } }

  func replace(with limits: Limits) {
    self.limits.withLock { $0 = limits }
  }
}
