import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartSystemd
import WarmstartTensorModel
import WarmstartWire

// What the daemon logs about clients and checkpoints.

/// A client, as the log describes it.
private struct LoggedClient {
  let text: String
  let fields: [(LogEvent.Field, String)]

  /// - Parameter isNamed: Whether there is time to ask the system for the user's name.
  init(_ peer: Socket.Peer, isNamed: Bool = true) {
    let user = isNamed ? Daemon.userName(peer.uid) : String(peer.uid)
    text = "process \(peer.pid) of user \(user)"
    fields = [(.user, user), (.userID, "\(peer.uid)"), (.processID, "\(peer.pid)")]
  }
}

extension Daemon {
  /// Logs an event that clients can cause, within the limits that `Complaints` sets.
  ///
  /// - Parameters:
  ///   - subject: What the event is about, if the next one would say the same.
  ///   - describe: Makes the event's text and fields, if it is logged.
  private func log(
    _ kind: LogEvent.Kind, about subject: String? = nil,
    _ describe: () -> (text: String, fields: [(LogEvent.Field, String)])
  ) {
    guard complaints.withLock({ $0.admit(kind, about: subject) }) else { return }
    let (text, fields) = describe()
    supervisor.log(LogEvent(kind, text, fields))
  }

  /// Logs how many events were left out in the periods that are over.
  func noteSuppressed() {
    for suppressed in complaints.withLock({ $0.takeSuppressed() }) {
      let count = suppressed.count
      supervisor.log(
        LogEvent(
          .suppressed,
          "\(count) similar message\(count == 1 ? "" : "s") suppressed: \(suppressed.kind)",
          [(.count, "\(count)"), (.event, "\(suppressed.kind)")]))
    }
  }

  /// A user's name, or the number of a user without one.
  ///
  /// It asks the system, which may take long: the main loop must not call it.
  fileprivate static func userName(_ uid: UInt32) -> String {
    UserDatabase.userName(of: uid).map(\.printable) ?? String(uid)
  }

  // MARK: Clients

  /// Logs that a connection was refused, once for each user and reason.
  ///
  /// - Parameters:
  ///   - peer: The client; nil if its credentials cannot be read.
  ///   - isNamed: Whether there is time to ask the system for the user's name.
  func noteRefusedConnection(of peer: Socket.Peer?, isNamed: Bool, _ problem: Problem) {
    let kind = problem.reason == .quota ? LogEvent.Kind.refusedByQuota : .connectionRefused
    log(kind, about: peer.map { "\($0.uid)" }) {
      let status = CallStatus(problem)
      let words = "\(status.code.name) (\(status.reason)): \(status.message)"
      guard let client = peer.map({ LoggedClient($0, isNamed: isNamed) }) else {
        return ("refused a connection: \(words)", [])
      }
      return (
        "refused \(client.text): \(words)",
        client.fields + [(.reason, problem.reason.rawValue)]
      )
    }
  }

  /// Logs that no connection can be accepted now.
  func noteRefusedConnection(_ complaint: String) {
    log(.connectionRefused) { (complaint, []) }
  }

  /// Logs why a session ended before its client ended it.
  func noteBrokenSession(_ client: Client, _ error: WireError) {
    log(error == .timedOut ? .slowClientDropped : .sessionEnded) {
      let client = LoggedClient(client.peer)
      return ("ended the session of \(client.text): \(error)", client.fields)
    }
  }

  /// Logs that a client speaks HTTP on the socket, once for each user.
  func noteHTTP(_ client: Client) {
    log(.wrongProtocol, about: "\(client.peer.uid)") {
      let client = LoggedClient(client.peer)
      return ("\(client.text) speaks HTTP on Warmstart's socket", client.fields)
    }
  }

  /// Logs a failed call if it concerns the operator: something was refused, or a checkpoint is
  /// damaged or changes.
  func noteFailure(_ status: CallStatus, to client: Client, _ checkpoint: Holdings.Subject?) {
    switch status.reason {
    case .budget: noteRefusal(.refusedByBudget, status, to: client)
    case .quota: noteRefusal(.refusedByQuota, status, to: client)
    case .notAllowed: noteRefusal(.refusedByPermission, status, to: client)
    case .checkpointChanged: noteDamage(.changedOnDisk, status, to: checkpoint)
    case .checksumMismatch:
      // Without a checkpoint it is not damage: the client expected another digest.
      if checkpoint != nil { store.countChecksumFailure() }
      noteDamage(.checksumFailed, status, to: checkpoint)
    case .corrupt, .truncated: noteDamage(.damaged, status, to: checkpoint)
    default: break
    }
  }

  /// Logs that a user was refused something, once for each user and reason.
  private func noteRefusal(_ kind: LogEvent.Kind, _ status: CallStatus, to client: Client) {
    log(kind, about: "\(client.peer.uid)") {
      let client = LoggedClient(client.peer)
      return (
        "refused \(client.text): \(status.code.name) (\(status.reason)): \(status.message.printable)",
        client.fields + [(.reason, status.reason.rawValue)]
      )
    }
  }

  // MARK: Checkpoints

  /// Logs that a checkpoint's files are damaged or have changed, once for each generation of them.
  private func noteDamage(
    _ kind: LogEvent.Kind, _ status: CallStatus, to checkpoint: Holdings.Subject?
  ) {
    guard let checkpoint else { return }
    let generation = checkpoint.generation.description
    log(kind, about: generation) {
      let label = checkpoint.label.isEmpty ? generation : checkpoint.label
      let user = Daemon.userName(checkpoint.openedBy)
      return (
        "checkpoint \(label), opened by user \(user): "
          + "\(status.code.name) (\(status.reason)): \(Client.capped(status.message))",
        [
          (.checkpoint, label), (.generation, generation), (.user, user),
          (.userID, "\(checkpoint.openedBy)"), (.reason, status.reason.rawValue),
        ]
      )
    }
  }

  /// Logs that a checkpoint became warm or was evicted.
  func note(_ change: Change) {
    log(change.cause == nil ? .loaded : .evicted) {
      let generation = change.generation.description
      let label = change.label.isEmpty ? generation : change.label
      var fields: [(LogEvent.Field, String)] = [
        (.checkpoint, label), (.generation, generation), (.byteCount, "\(change.byteCount)"),
      ]
      // An eviction may happen on the main loop, which must not ask for a user's name.
      guard let cause = change.cause else {
        let user = Daemon.userName(change.openedBy)
        fields += [(.user, user), (.userID, "\(change.openedBy)")]
        return (
          "loaded checkpoint \(label) of \(bytesText(change.byteCount)) for user \(user)", fields
        )
      }
      fields += [(.userID, "\(change.openedBy)"), (.reason, "\(cause)")]
      return (
        "evicted checkpoint \(label), \(bytesText(change.byteCount)) warm, because \(cause.rawValue)",
        fields
      )
    }
  }

  /// Logs that an administrator pinned a checkpoint, perhaps under a name.
  func notePin(
    _ lease: Lease, as name: PublishedName?, replacing replaced: NamedCheckpoint?, by client: Client
  ) {
    let resident = lease.resident
    log(.pinned) {
      let client = LoggedClient(client.peer)
      let generation = resident.generation.description
      let label = resident.label.isEmpty ? generation : resident.label
      let fields: [(LogEvent.Field, String)] = [
        (.checkpoint, label), (.generation, generation),
        (.byteCount, "\(resident.checkpoint.byteCount)"),
      ]
      let published = name.map { " as \($0)" } ?? ""
      let before = replaced.map { replaced in
        "; checkpoint \(Daemon.text(replaced)), which had the name before, is "
          + (replaced.losesPin ? "no longer pinned" : "no longer published under it")
      }
      return (
        "\(client.text) pinned checkpoint \(label)\(published)\(before ?? "")",
        fields + client.fields + (name.map { [(.name, $0.text)] } ?? [])
      )
    }
  }

  /// A published checkpoint in the text of an event: its path, or else its generation.
  private static func text(_ checkpoint: NamedCheckpoint) -> String {
    checkpoint.label.isEmpty ? "\(checkpoint.generation)" : Client.capped(checkpoint.label)
  }

  /// Logs that an administrator ended the pin of a generation, and with it the checkpoint's names.
  func noteUnpin(
    _ generation: String, label: String, _ names: [PublishedName], by client: Client
  ) {
    log(.unpinned) {
      let client = LoggedClient(client.peer)
      let ended = names.map(\.description).joined(separator: ", ")
      return (
        "\(client.text) unpinned checkpoint \(label.printable)"
          + (ended.isEmpty ? "" : "; it is no longer published as \(ended)"),
        [(.checkpoint, label), (.generation, Client.capped(generation))] + client.fields
      )
    }
  }

  /// Logs that an administrator ended a name.
  func noteEnd(of name: PublishedName, _ checkpoint: NamedCheckpoint, by client: Client) {
    log(.unpinned) {
      let client = LoggedClient(client.peer)
      let label = Daemon.text(checkpoint)
      let pin = checkpoint.losesPin ? "; checkpoint \(label) is no longer pinned" : ""
      return (
        "\(client.text) unpublished \(name)\(pin)",
        [(.name, name.text), (.checkpoint, label), (.generation, "\(checkpoint.generation)")]
          + client.fields
      )
    }
  }

  /// Logs what happened to checkpoints since the last call: pins and names that were lost, and
  /// pinned checkpoints that were read again.
  package func noteLostPins() {
    for name in store.takeLostNames() {
      supervisor.log(LogEvent(.nameLost, Client.capped(name)))
    }
    for pin in store.takeEndingPins() {
      supervisor.log(LogEvent(.pinNotKept, Client.capped(pin)))
    }
    for name in store.takeLostPins() {
      let name = Client.capped(name)
      supervisor.log(
        LogEvent(
          .pinLost,
          "checkpoint \(name) is no longer pinned, because a file of it was deleted, replaced or "
            + "changed; if a new checkpoint is there, pin that one",
          [(.checkpoint, name)]))
    }
  }

  /// Logs which pinned checkpoints were warmed up again since the last call.
  package func noteRewarmed() {
    for pin in store.takeRewarmed() {
      let name = Client.capped(pin.name)
      supervisor.log(
        LogEvent(
          .rewarmed,
          "warmed up pinned checkpoint \(name) again, because the kernel had taken "
            + "about \(bytesText(pin.byteCount)) of its files from the page cache",
          [(.checkpoint, name), (.byteCount, "\(pin.byteCount)")]))
    }
  }
}
