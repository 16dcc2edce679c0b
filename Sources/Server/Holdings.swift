import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// What one connection holds: the checkpoints that it has open, and the files that it attached for
/// later calls.
///
/// It also remembers what the current call opened or named: what a failed call opened is closed
/// again, since its client never learns the handle. Belongs to the session's thread; what is held
/// is given back when the session ends.
final class Holdings {
  /// A checkpoint, as the daemon's log describes it.
  struct Subject {
    let label: String
    /// The user whose client chose the label.
    let openedBy: UInt32
    let generation: Generation
  }

  private let client: Client
  private let daemon: Daemon
  private let connection: Connection
  private let turn: Turn
  /// By ascending handle.
  private var checkpoints: [OpenCheckpoint] = []
  private var attached: [UInt64: File] = [:]
  private var lastID: UInt64 = 0
  /// The handle that the current call opened.
  private var openedByCall: UInt64?
  /// The checkpoint, opened by an earlier call, that the current call names.
  private var current: OpenCheckpoint?
  /// The files that the current call brought, unless some of them were attached before.
  private var passed: FileSet?
  /// The checkpoint that the current call opens.
  private var opening: Subject?

  init(_ client: Client, of daemon: Daemon, _ connection: Connection, _ turn: Turn) {
    self.client = client
    self.daemon = daemon
    self.connection = connection
    self.turn = turn
  }

  // MARK: The current call

  /// Forgets what the last call opened or named.
  func beginCall() {
    openedByCall = nil
    current = nil
    passed = nil
    opening = nil
  }

  /// Whether the current call opened its checkpoint, which its first reply then describes.
  var isOpenedByCall: Bool { openedByCall != nil }

  /// The checkpoint that the current call is about, once that is known.
  var subject: Subject? {
    if let opening { return opening }
    guard let resident = current?.resident else { return nil }
    return Subject(
      label: resident.label, openedBy: resident.openedBy, generation: resident.generation)
  }

  /// Whether the files of the current call only got or lost names since they were opened.
  ///
  /// A published checkpoint must be published again instead.
  var areOnlyRelinked: Bool {
    if let current, current.published != nil { return false }
    return (current?.files ?? passed)?.areOnlyRelinked ?? false
  }

  /// Closes what the current call opened.
  func closeOpened() {
    if let openedByCall { try? close(openedByCall) }
    openedByCall = nil
  }

  // MARK: Attached files

  /// Keeps the files of the last frame for a later call, and returns their ids.
  func attach(_ caller: Caller) throws(CallFailure) -> [UInt64] {
    let files = connection.files
    guard files.count <= maximumCheckpointFiles - attached.count else {
      throw .status(
        Holdings.full("a connection attaches at most \(maximumCheckpointFiles) files"))
    }
    do {
      // Not only for later: a client's own socket, held here, would keep its connection alive.
      try caller.pausing { () throws(Problem) in
        for file in files { _ = try FileSet.accept(file, as: "attached file") }
      }
      try client.keepFiles(files.count, in: daemon.store, caller)
    } catch { throw .status(CallStatus(error)) }
    return files.map { file in
      lastID += 1
      attached[lastID] = file
      return lastID
    }
  }

  /// Gives all attached files back after a call failed: its client attaches them again before it
  /// repeats the call.
  func giveBackAttached() {
    guard !attached.isEmpty else { return }
    // Closing a file may hang, and must not keep the turn meanwhile.
    turn.giveUp()
    let count = attached.count
    attached = [:]
    client.dropFiles(count)
  }

  // MARK: Open checkpoints

  /// Finds the checkpoint that a request names by its handle, or opens it from the files that the
  /// request brings or under the name that an administrator gave it.
  ///
  /// If the request expects a SHA-256, it is compared.
  ///
  /// - Parameter note: Called while the files are read for the comparison, with the bytes that were
  ///   read and those of all files.
  func open(
    _ reference: CheckpointReference, _ caller: Caller, note: ((Int, Int) -> Void)? = nil
  ) throws(CallFailure) -> OpenCheckpoint {
    guard let expected = reference.expectedSHA256 else {
      return try find(reference.source, caller)
    }
    guard expected.count == Holdings.digestByteCount else {
      throw .status(
        CallStatus(
          .invalidRequest,
          "the expected SHA-256 has \(expected.count) bytes, expected \(Holdings.digestByteCount)"))
    }
    let open = try find(reference.source, caller)
    do {
      try open.lease.expect(expected, from: open.files, for: caller, note: note)
    } catch {
      // Not damage, which the log would report: the client may expect another checkpoint.
      if error.reason == .checksumMismatch { (opening, current) = (nil, nil) }
      throw .status(CallStatus(error))
    }
    return open
  }

  /// The bytes of a SHA-256.
  private static let digestByteCount = 32

  private func find(
    _ source: CheckpointReference.Source, _ caller: Caller
  ) throws(CallFailure) -> OpenCheckpoint {
    switch source {
    case .handle(let handle):
      guard let position = position(of: handle) else { throw Holdings.missing(handle) }
      let open = checkpoints[position]
      current = open
      // Arenas are granted without looking at files, and this client has none to look at.
      if let published = open.published {
        do {
          try caller.pausing { () throws(Problem) in try published.expectUnchanged() }
        } catch { throw .status(CallStatus(error)) }
      }
      return open
    case .files(let files, let label):
      try expectRoom()
      do {
        return try openFiles(files, label: label, caller)
      } catch {
        throw .status(CallStatus(error))
      }
    case .name(let name):
      try expectRoom()
      do {
        let (lease, files) = try daemon.store.open(
          try PublishedName(name), for: caller, by: client.peer.uid, groups: { client.groups })
        return keep(lease, files.set, published: files)
      } catch {
        throw .status(CallStatus(error))
      }
    }
  }

  private func expectRoom() throws(CallFailure) {
    let most = daemon.limits.now.handles
    guard checkpoints.count < most else {
      throw .status(
        Holdings.full("a connection has at most \(most) checkpoints open"))
    }
  }

  /// Keeps what the current call opened, under a new handle.
  private func keep(
    _ lease: Lease, _ files: FileSet, published: PublishedFiles? = nil
  ) -> OpenCheckpoint {
    lastID += 1
    let open = OpenCheckpoint(handle: lastID, lease: lease, files: files, published: published)
    checkpoints.append(open)
    openedByCall = open.handle
    client.note(leases: checkpoints.map(\.resident.generation))
    return open
  }

  private func openFiles(
    _ references: [CheckpointFile], label: String, _ caller: Caller
  ) throws(Problem) -> OpenCheckpoint {
    let (files, used) = try files(references)
    let fresh = files.count - used.count
    try client.keepFiles(fresh, in: daemon.store, caller)
    let lease: Lease
    let set: FileSet
    do throws(Problem) {
      set = try caller.pausing { () throws(Problem) in
        try FileSet(files, openedBy: client.peer.uid, checkIn: caller.checkIn)
      }
      if used.isEmpty { passed = set }
      let label = Client.capped(label)
      opening = Subject(label: label, openedBy: client.peer.uid, generation: set.generation)
      lease = try daemon.store.open(set, label: label, for: caller)
    } catch {
      client.dropFiles(fresh)
      // The client's mistake: the operator need not hear of it.
      if error.isPerhapsNoCheckpoint { opening = nil }
      throw error
    }
    for id in used { attached[id] = nil }
    return keep(lease, set)
  }

  /// The files that references mean, and the ids of those that were attached before.
  private func files(
    _ references: [CheckpointFile]
  ) throws(Problem) -> (files: [(role: FileRole, file: File)], used: Set<UInt64>) {
    var files: [(role: FileRole, file: File)] = []
    files.reserveCapacity(references.count)
    var used: Set<UInt64> = []
    for reference in references {
      switch reference.source {
      case .descriptor(let position):
        guard connection.files.indices.contains(position) else {
          throw Problem(
            .invalidRequest,
            "the call names descriptor \(position), but carries \(connection.files.count)")
        }
        files.append((reference.role, connection.files[position]))
      case .attached(let id):
        guard let file = attached[id], !used.contains(id) else {
          throw Problem(
            .invalidRequest,
            "this connection has no attached file \(id): none was attached, or it was used")
        }
        used.insert(id)
        files.append((reference.role, file))
      }
    }
    return (files, used)
  }

  /// Opens the files of the current call's checkpoint anew, under the same handle.
  func reopenCurrent(_ caller: Caller) throws(CallFailure) {
    guard let open = current, let position = position(of: open.handle) else { return }
    do {
      let files = try caller.pausing { () throws(Problem) in
        try FileSet(
          open.files.members.map { ($0.role, $0.file) }, openedBy: client.peer.uid,
          checkIn: caller.checkIn)
      }
      let lease = try daemon.store.open(files, label: open.resident.label, for: caller)
      checkpoints[position] = OpenCheckpoint(handle: open.handle, lease: lease, files: files)
    } catch {
      throw .status(CallStatus(error))
    }
  }

  /// Closes a checkpoint's files and gives its lease back.
  func close(_ handle: UInt64) throws(CallFailure) {
    guard let position = position(of: handle) else { throw Holdings.missing(handle) }
    var open: OpenCheckpoint? = checkpoints.remove(at: position)
    let fileCount = open?.ownFileCount ?? 0
    if current === open { current = nil }
    passed = nil
    // Closing a file may hang, and must not keep the turn meanwhile.
    turn.giveUp()
    // The files are closed here, before they are given back.
    open = nil
    client.dropFiles(fileCount)
    client.note(leases: checkpoints.map(\.resident.generation))
  }

  private func position(of handle: UInt64) -> Int? {
    checkpoints.firstIndex { $0.handle == handle }
  }

  private static func missing(_ handle: UInt64) -> CallFailure {
    .status(CallStatus(.invalidRequest, "this connection has no checkpoint \(handle)"))
  }

  /// A failure for what only the connection itself can give back: waiting does not help.
  private static func full(_ message: String) -> CallStatus {
    var status = CallStatus(.quota, message)
    status.retryMilliseconds = nil
    return status
  }
}
