import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// `unpin` ends what `pin` began.
struct Unpin: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unpin", abstract: "End the pin, or a name, of a checkpoint; for administrators.",
    discussion: AdministrationOptions.discussion)

  @OptionGroup var administration: AdministrationOptions

  @Argument(
    help: """
      The checkpoint's path, or its generation, as `status` shows them; or name:NAME, which ends the \
      name, and the pin unless the checkpoint has another name.
      """)
  var checkpoint: String

  func run() throws {
    try Failure.reporting(asJSON: false) { () throws(Failure) in
      let daemon = administration.daemon
      try daemon.requireAdministration()
      let unpinned = try daemon.call { client, timeout throws(WarmstartError) in
        guard let name = try Checkpoint.name(in: checkpoint) else { return false }
        try client.unpin(name, timeout: timeout)
        return true
      }
      if unpinned { return }
      let found = try ResidentCheckpoint(checkpoint, in: daemon, isPinned: true)
      try daemon.call { client, timeout throws(WarmstartError) in
        try client.unpin(generation: found.generation, timeout: timeout)
      }
    }
  }
}

/// `evict` gives back the memory of checkpoints that nothing keeps.
struct Evict: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evict",
    abstract: "Evict a checkpoint that no client leases, or all of these; for administrators.",
    discussion: AdministrationOptions.discussion)

  @OptionGroup var administration: AdministrationOptions

  @Argument(help: ResidentCheckpoint.help)
  var checkpoint: String?

  @Flag(help: "Evict all checkpoints that are neither leased nor pinned.")
  var all = false

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard all == (checkpoint == nil) else {
      throw ValidationError("expected either a checkpoint or --all")
    }
  }

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = administration.daemon
      try daemon.requireAdministration()
      var generation: String?
      if let checkpoint {
        generation = try ResidentCheckpoint(checkpoint, in: daemon).generation
      }
      let evicted = try daemon.call { [generation] client, timeout throws(WarmstartError) in
        try client.evict(generation: generation, timeout: timeout)
      }
      let report = JSON.object([
        ("checkpoint_count", .number(evicted.checkpointCount)),
        ("pinned_count", .number(evicted.pinnedCount)),
        ("leased_count", .number(evicted.leasedCount)),
      ])
      try Output.write(json ? report.line : evicted.text + "\n")
    }
  }
}

extension Evicted {
  /// The result in one line: `evicted 0 checkpoints; 2 stay: 1 pinned, 1 leased`.
  fileprivate var text: String {
    let noun = checkpointCount == 1 ? "checkpoint" : "checkpoints"
    let text = "evicted \(checkpointCount) \(noun)"
    let reasons = [(pinnedCount, "pinned"), (leasedCount, "leased")].filter { $0.0 > 0 }
    guard !reasons.isEmpty else {
      return checkpointCount == 0 ? text + "; the daemon holds none" : text
    }
    let count = pinnedCount + leasedCount
    return "\(text); \(count) \(count == 1 ? "stays" : "stay"): "
      + reasons.map { "\($0) \($1)" }.joined(separator: ", ")
  }
}

/// The administrators' socket, and the timeout.
struct AdministrationOptions: ParsableArguments {
  static let discussion = """
    Asks at the administrators' socket, \(Client.administrationSocketPath), which root and the group \
    warmstart-admin may use, unless --socket names another. $WARMSTART_SOCKET does not count: it \
    names the clients' socket.
    """

  @OptionGroup var connection: ConnectionOptions

  /// The daemon, at the administrators' socket unless the command line names another.
  var daemon: Daemon { connection.daemon(timeout: nil, at: { Client.administrationSocketPath }) }
}

/// A checkpoint that the daemon holds, found by the word on the command line.
struct ResidentCheckpoint {
  static let help: ArgumentHelp =
    "The checkpoint's path, or its generation, as `status` shows them."

  let generation: String

  /// Finds the checkpoint by its generation, by the files at the path, or by the path under which
  /// it was first opened: the files may be gone.
  ///
  /// - Parameter isPinned: Whether only pinned checkpoints are meant.
  /// - Throws: CHECKPOINT_NOT_FOUND if the daemon holds none that matches.
  init(_ word: String, in daemon: Daemon, isPinned: Bool = false) throws(Failure) {
    guard !word.isEmpty else {
      throw Failure(
        .invalidRequest, "the checkpoint's path is empty, expected a path or a generation")
    }
    let report = try daemon.call { client, timeout throws(WarmstartError) in
      try client.status(timeout: timeout)
    }
    let held = report.checkpoints.filter { !isPinned || $0.isPinned }
    if let found = held.first(where: { $0.generation == word }) {
      generation = found.generation
      return
    }
    // Opened with this process's rights; the lease ends before the next call.
    let opened = try? daemon.call { client, timeout throws(WarmstartError) in
      let checkpoint = try client.openToList(word, timeout: timeout)
      return (path: checkpoint.path, generation: checkpoint.generation)
    }
    let label = Checkpoint.label(of: opened?.path ?? word)
    guard
      let found = held.first(where: { $0.generation == opened?.generation })
        ?? held.first(where: { $0.label == label })
    else {
      let names = held.map { $0.label.isEmpty ? $0.generation : $0.label }.sorted()
      let fault =
        isPinned
        ? "checkpoint \(word) is not pinned" : "the daemon does not hold checkpoint \(word)"
      let known =
        names.isEmpty
        ? "; no checkpoint is \(isPinned ? "pinned" : "held")"
        : ", expected one of: \(names.joined(separator: ", "))"
      throw Failure(.checkpointNotFound, fault + known)
    }
    generation = found.generation
  }
}

extension Daemon {
  /// Refuses another socket than the administrators' before any work for it is done, and says how
  /// to name theirs if this one does not serve.
  func requireAdministration() throws(Failure) {
    do throws(Failure) {
      try call { client, timeout throws(WarmstartError) in
        try client.requireAdministration(timeout: timeout)
      }
    } catch {
      let usual = Client.administrationSocketPath
      if error.message.contains("administrators' socket") {
        throw Failure(
          .unsupported,
          "pin, unpin and evict are only available at the administrators' socket, and "
            + "\(client.socketPath) is another: leave out --socket for \(usual), or name the daemon's "
            + "--admin-socket by --socket")
      }
      guard [.connection, .notAllowed].contains(error.reason) else { throw error }
      let hint =
        if error.reason == .notAllowed {
          ", which is for root, the daemon's user and the group warmstart-admin"
        } else if client.socketPath == usual {
          ": another daemon's --admin-socket can be named by --socket"
        } else {
          ": leave out --socket for \(usual)"
        }
      throw Failure(
        error.reason,
        "\(error.message); pin, unpin and evict need the administrators' socket\(hint)")
    }
  }
}
