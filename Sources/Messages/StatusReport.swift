internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
public import WarmstartTensorModel

/// What the daemon holds, and for which clients: the answer to `Client.status(timeout:)`.
public struct StatusReport: Sendable, Hashable {
  /// A checkpoint that is resident.
  public struct Checkpoint: Sendable, Hashable {
    /// The identity of the checkpoint's bytes.
    public var generation: String
    /// The format of the checkpoint's files; nil if only a newer version knows it.
    public var format: CheckpointFormat?
    /// The path that the first client opened.
    public var label: String
    /// The number of tensors.
    public var tensorCount = 0
    /// The number of bytes of all tensors.
    public var byteCount = 0
    /// The number of bytes that the daemon read, and whose checksums matched if the format has any.
    public var verifiedByteCount = 0
    /// The number of bytes of the files that the page cache has now, among those that the daemon
    /// read and left there.
    ///
    /// An estimate: the daemon looks at one byte in 64 KiB, and at 4,096 bytes of more than 256
    /// MiB. If a file's file system does not answer within 0.1 s, or cannot say, it is an earlier
    /// figure.
    public var cachedByteCount = 0
    /// The number of arenas with tensors of the checkpoint.
    public var arenaCount = 0
    /// The number of bytes in these arenas.
    public var arenaByteCount = 0
    /// The part of `arenaByteCount` that the kernel put in huge pages.
    public var hugeArenaByteCount = 0
    /// The number of leases on the checkpoint.
    public var leaseCount = 0
    /// Whether an administrator pinned the checkpoint, so that it stays.
    public var isPinned = false
    /// Why the pin, or the use of the checkpoint's names, ends when this process of the daemon
    /// ends; empty if it does not, or if nothing outlives the process.
    public var endOfPin = ""
    /// The bytes of files and arenas that are locked into memory.
    public var lockedByteCount = 0
    /// The milliseconds since the last lease ended; 0 while there is a lease or a pin.
    public var idleMilliseconds = 0
    /// The SHA-256 of the checkpoint's files, 32 bytes; empty unless a call has asked for it.
    public var sha256: [UInt8] = []

    package init(generation: String, format: CheckpointFormat?, label: String) {
      self.generation = generation
      self.format = format
      self.label = label
    }
  }

  /// A name under which an administrator published a checkpoint.
  public struct Named: Sendable, Hashable {
    /// The name, and at the administrators' socket who may use it.
    public var publication: Publication
    /// The identity of the checkpoint's bytes.
    public var generation: String
    /// The path that the administrator published; empty at other sockets than the administrators'.
    public var label: String
    /// Why the name cannot be used, such as a file that was deleted; empty if it can.
    public var fault: String

    package init(
      _ publication: Publication, generation: String, label: String = "", fault: String = ""
    ) {
      self.publication = publication
      self.generation = generation
      self.label = label
      self.fault = fault
    }
  }

  /// What a user has taken of what all users share.
  public struct User: Sendable, Hashable {
    /// The user.
    public var userID: Int
    /// The bytes of the budget that the user pays for.
    public var chargedByteCount: Int
    /// The bytes in arenas that the daemon dropped and the user's clients still map.
    public var keptArenaByteCount: Int
    /// The number of the user's connections.
    public var clientCount: Int

    package init(
      userID: Int, chargedByteCount: Int, keptArenaByteCount: Int, clientCount: Int
    ) {
      self.userID = userID
      self.chargedByteCount = chargedByteCount
      self.keptArenaByteCount = keptArenaByteCount
      self.clientCount = clientCount
    }
  }

  /// A client's connection.
  public struct Client: Sendable, Hashable {
    /// The client's process, which may have ended.
    public var processID: Int
    /// The client's user.
    public var userID: Int
    /// The name that the client gave itself.
    public var label: String
    /// The command that the client runs.
    public var command: String
    /// The number of leases that the client holds.
    public var leaseCount: Int
    /// The number of calls that the client made.
    public var callCount: Int
    /// The generations of the checkpoints that the client leases, one for each lease; at most 16.
    public var leases: [String]

    package init(
      processID: Int, userID: Int, label: String, command: String, leaseCount: Int, callCount: Int,
      leases: [String] = []
    ) {
      self.processID = processID
      self.userID = userID
      self.label = label
      self.command = command
      self.leaseCount = leaseCount
      self.callCount = callCount
      self.leases = leases
    }
  }

  /// A count of events.
  public struct Counter: Sendable, Hashable {
    /// The name of the events.
    public var name: String
    /// The number of events since the daemon started.
    public var value: Int

    package init(_ name: String, _ value: Int) {
      self.name = name
      self.value = value
    }
  }

  /// The daemon's version.
  public var daemonVersion = ""
  /// The daemon's process.
  public var processID = 0
  /// The milliseconds since the daemon started.
  public var uptimeMilliseconds = 0
  /// The number of connections of all users.
  public var clientCount = 0
  /// The most connections that all users may have.
  public var clientLimit = 0
  /// The number of leases of all clients.
  public var leaseCount = 0
  /// The number of bytes of files that the page cache has, as far as the daemon knows, and of
  /// arenas.
  public var warmByteCount = 0
  /// The number of bytes in arenas.
  public var arenaByteCount = 0
  /// The part of `arenaByteCount` that the kernel put in huge pages, which clients touch with far
  /// fewer page faults.
  public var hugeArenaByteCount = 0
  /// The most bytes that arenas and indexes may take.
  public var budgetByteCount = 0
  /// The number of bytes that arenas and indexes take now.
  public var chargedByteCount = 0
  /// The number of bytes in arenas that the daemon dropped and clients still map.
  public var keptArenaByteCount = 0
  /// The part of `chargedByteCount` that is charged to the caller's user.
  public var ownChargedByteCount = 0
  /// The part of `keptArenaByteCount` that is charged to the caller's user.
  public var ownKeptArenaByteCount = 0
  /// The checkpoints that are resident.
  public var checkpoints: [Checkpoint] = []
  /// The connections that the caller may see: those of its user, or all on the administrators'
  /// socket.
  public var clients: [Client] = []
  /// What the caller's user has taken; at the administrators' socket what each user has, most
  /// memory first.
  public var users: [User] = []
  /// The names that the caller may use; all names at the administrators' socket.
  public var names: [Named] = []
  /// The counts of events since the daemon started.
  public var counters: [Counter] = []

  package init() {}
}

extension StatusReport {
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__status_reply__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    daemonVersion = unsafe text(message.daemon_version)
    processID = unsafe Int(message.process_id)
    uptimeMilliseconds = unsafe Int(clamping: message.uptime_ms)
    clientCount = unsafe Int(clamping: message.client_count)
    clientLimit = unsafe Int(clamping: message.client_limit)
    leaseCount = unsafe Int(clamping: message.lease_count)
    warmByteCount = unsafe Int(clamping: message.warm_bytes)
    arenaByteCount = unsafe Int(clamping: message.arena_bytes)
    hugeArenaByteCount = unsafe Int(clamping: message.huge_arena_bytes)
    budgetByteCount = unsafe Int(clamping: message.budget_bytes)
    chargedByteCount = unsafe Int(clamping: message.charged_bytes)
    keptArenaByteCount = unsafe Int(clamping: message.kept_arena_bytes)
    ownChargedByteCount = unsafe Int(clamping: message.own_charged_bytes)
    ownKeptArenaByteCount = unsafe Int(clamping: message.own_kept_arena_bytes)
    checkpoints = unsafe elements(message.checkpoints, message.n_checkpoints)
      .compactMap { unsafe $0.map { unsafe Checkpoint($0.pointee) } }
    clients = unsafe elements(message.clients, message.n_clients)
      .compactMap { unsafe $0.map { unsafe Client($0.pointee) } }
    users = unsafe elements(message.users, message.n_users)
      .compactMap { unsafe $0.map { unsafe User($0.pointee) } }
    for position in 0..<(unsafe message.n_names) {
      guard let name = unsafe message.names[position]?.pointee,
        let publication = unsafe name.publication?.pointee
      else { throw .malformed("a name without its text") }
      names.append(
        try unsafe Named(
          Publication(publication), generation: text(name.generation), label: text(name.label),
          fault: text(name.fault)))
    }
    counters = unsafe elements(message.counters, message.n_counters).compactMap {
      unsafe $0.map { unsafe Counter(text($0.pointee.name), Int(clamping: $0.pointee.value)) }
    }
  }
}

extension StatusReport.Checkpoint {
  fileprivate init(_ message: Warmstart__V1__CheckpointStatus) {
    unsafe self.init(
      generation: text(message.generation),
      format: CheckpointFormat(rawValue: text(message.format)),
      label: text(message.label))
    tensorCount = unsafe Int(clamping: message.tensor_count)
    byteCount = unsafe Int(clamping: message.byte_count)
    verifiedByteCount = unsafe Int(clamping: message.verified_bytes)
    cachedByteCount = unsafe Int(clamping: message.cached_bytes)
    arenaCount = unsafe Int(clamping: message.arena_count)
    arenaByteCount = unsafe Int(clamping: message.arena_bytes)
    hugeArenaByteCount = unsafe Int(clamping: message.huge_arena_bytes)
    leaseCount = unsafe Int(clamping: message.lease_count)
    isPinned = unsafe message.pinned != 0
    idleMilliseconds = unsafe Int(clamping: message.idle_ms)
    sha256 = unsafe Array(bytes(message.sha256))
    endOfPin = unsafe text(message.end_of_pin)
    lockedByteCount = unsafe Int(clamping: message.locked_bytes)
  }

  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__CheckpointStatus>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__checkpoint_status__init(message)
    unsafe message.pointee.generation = scratch.text(generation)
    unsafe message.pointee.format = scratch.text(format?.rawValue ?? "")
    unsafe message.pointee.label = scratch.text(label)
    unsafe message.pointee.tensor_count = UInt64(tensorCount)
    unsafe message.pointee.byte_count = UInt64(byteCount)
    unsafe message.pointee.verified_bytes = UInt64(verifiedByteCount)
    unsafe message.pointee.cached_bytes = UInt64(cachedByteCount)
    unsafe message.pointee.arena_count = UInt64(arenaCount)
    unsafe message.pointee.arena_bytes = UInt64(arenaByteCount)
    unsafe message.pointee.huge_arena_bytes = UInt64(hugeArenaByteCount)
    unsafe message.pointee.lease_count = UInt64(leaseCount)
    unsafe message.pointee.pinned = isPinned ? 1 : 0
    unsafe message.pointee.idle_ms = UInt64(idleMilliseconds)
    unsafe message.pointee.sha256 = scratch.bytes(sha256[...])
    unsafe message.pointee.end_of_pin = scratch.text(endOfPin)
    unsafe message.pointee.locked_bytes = UInt64(lockedByteCount)
  }
}

extension StatusReport.User {
  fileprivate init(_ message: Warmstart__V1__UserStatus) {
    unsafe self.init(
      userID: Int(message.user_id), chargedByteCount: Int(clamping: message.charged_bytes),
      keptArenaByteCount: Int(clamping: message.kept_arena_bytes),
      clientCount: Int(clamping: message.client_count))
  }

  fileprivate func fill(_ message: UnsafeMutablePointer<Warmstart__V1__UserStatus>) {
    unsafe warmstart__v1__user_status__init(message)
    unsafe message.pointee.user_id = UInt32(clamping: userID)
    unsafe message.pointee.charged_bytes = UInt64(chargedByteCount)
    unsafe message.pointee.kept_arena_bytes = UInt64(keptArenaByteCount)
    unsafe message.pointee.client_count = UInt64(clientCount)
  }
}

extension StatusReport.Named {
  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__NameStatus>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__name_status__init(message)
    unsafe message.pointee.publication = publication.message(scratch)
    unsafe message.pointee.generation = scratch.text(generation)
    unsafe message.pointee.label = scratch.text(label)
    unsafe message.pointee.fault = scratch.text(fault)
  }
}

extension StatusReport.Client {
  fileprivate init(_ message: Warmstart__V1__ClientStatus) {
    unsafe self.init(
      processID: Int(message.process_id), userID: Int(message.user_id),
      label: text(message.label), command: text(message.command),
      leaseCount: Int(clamping: message.lease_count),
      callCount: Int(clamping: message.call_count),
      leases: elements(message.leases, message.n_leases).map { unsafe text($0) })
  }

  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__ClientStatus>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__client_status__init(message)
    unsafe message.pointee.process_id = UInt32(clamping: processID)
    unsafe message.pointee.user_id = UInt32(clamping: userID)
    unsafe message.pointee.label = scratch.text(label)
    unsafe message.pointee.command = scratch.text(command)
    unsafe message.pointee.lease_count = UInt64(leaseCount)
    unsafe message.pointee.call_count = UInt64(callCount)
    unsafe message.pointee.n_leases = leases.count
    let texts = unsafe scratch.make(
      leases.count, of: UnsafeMutablePointer<CChar>?.self)
    for (position, lease) in leases.enumerated() { unsafe texts[position] = scratch.text(lease) }
    unsafe message.pointee.leases = texts
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the response.
  package mutating func begin(_ report: StatusReport, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__StatusReply()
    unsafe warmstart__v1__status_reply__init(&message)
    unsafe message.daemon_version = scratch.text(report.daemonVersion)
    unsafe message.process_id = UInt32(clamping: report.processID)
    unsafe message.uptime_ms = UInt64(report.uptimeMilliseconds)
    unsafe message.client_count = UInt64(report.clientCount)
    unsafe message.client_limit = UInt64(report.clientLimit)
    unsafe message.lease_count = UInt64(report.leaseCount)
    unsafe message.warm_bytes = UInt64(report.warmByteCount)
    unsafe message.arena_bytes = UInt64(report.arenaByteCount)
    unsafe message.huge_arena_bytes = UInt64(report.hugeArenaByteCount)
    unsafe message.budget_bytes = UInt64(report.budgetByteCount)
    unsafe message.charged_bytes = UInt64(report.chargedByteCount)
    unsafe message.kept_arena_bytes = UInt64(report.keptArenaByteCount)
    unsafe message.own_charged_bytes = UInt64(report.ownChargedByteCount)
    unsafe message.own_kept_arena_bytes = UInt64(report.ownKeptArenaByteCount)
    unsafe message.n_checkpoints = report.checkpoints.count
    unsafe message.checkpoints = scratch.messages(report.checkpoints) {
      unsafe $0.fill($1, scratch)
    }
    unsafe message.n_clients = report.clients.count
    unsafe message.clients = scratch.messages(report.clients) { unsafe $0.fill($1, scratch) }
    unsafe message.n_users = report.users.count
    unsafe message.users = scratch.messages(report.users) { unsafe $0.fill($1) }
    unsafe message.n_names = report.names.count
    unsafe message.names = scratch.messages(report.names) { unsafe $0.fill($1, scratch) }
    unsafe message.n_counters = report.counters.count
    unsafe message.counters = scratch.messages(report.counters) { counter, message in
      unsafe warmstart__v1__counter__init(message)
      unsafe message.pointee.name = scratch.text(counter.name)
      unsafe message.pointee.value = UInt64(counter.value)
    }
    unsafe begin(&message.base)
  }
}
