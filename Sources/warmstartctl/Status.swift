import ArgumentParser
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// `status` prints what the daemon holds, and its clients.
struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show what the daemon holds, and this user's clients.")

  @OptionGroup var connection: ConnectionOptions

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = connection.daemon(timeout: 5, at: { Client.statusSocketPath })
      let report = try daemon.call { client, timeout throws(WarmstartError) in
        try client.status(timeout: timeout)
      }
      try Output.write(json ? report.json.line : report.text)
    }
  }
}

extension StatusReport {
  fileprivate var text: String {
    var text = """
      warmstartd \(daemonVersion.printable), process \(processID), up \(uptimeText)
      clients  \(clientCount) of at most \(clientLimit)
      leases   \(leaseCount)
      warm     \(bytesText(warmByteCount))
      arenas   \(bytesText(arenaByteCount)), \(bytesText(hugeArenaByteCount)) of them in huge pages
      budget   \(bytesText(budgetByteCount)) for arenas and indexes
      charged  \(bytesText(chargedByteCount)): \(bytesText(arenaByteCount)) arenas, \
      \(bytesText(keptArenaByteCount)) kept, \(bytesText(otherChargedByteCount)) indexes and answers; \
      \(bytesText(ownChargedByteCount)) to this user
      kept     \(bytesText(keptArenaByteCount)) of arenas that the daemon dropped and jobs still map, \
      \(bytesText(ownKeptArenaByteCount)) by this user

      """ + refusedText
    if !checkpoints.isEmpty {
      var table = Columns([.left, .left, .right, .right, .right, .right, .right, .right, .left])
      table.add([
        "CHECKPOINT", "FORMAT", "TENSORS", "BYTES", "VERIFIED", "CACHED", "ARENAS", "LEASES",
        "KEPT",
      ])
      for checkpoint in checkpoints {
        table.add([
          checkpoint.label.isEmpty ? checkpoint.generation : checkpoint.label,
          checkpoint.format?.rawValue ?? "?",
          String(checkpoint.tensorCount), bytesText(checkpoint.byteCount),
          bytesText(checkpoint.verifiedByteCount), bytesText(checkpoint.cachedByteCount),
          bytesText(checkpoint.arenaByteCount),
          String(checkpoint.leaseCount), checkpoint.keptText,
        ])
      }
      text += "\n" + table.text
    }
    if !users.isEmpty {
      var table = Columns([.left, .right, .right, .right])
      table.add(["USER", "CHARGED", "KEPT", "CLIENTS"])
      for user in users {
        table.add([
          userText(user.userID), bytesText(user.chargedByteCount),
          bytesText(user.keptArenaByteCount), String(user.clientCount),
        ])
      }
      text += "\n" + table.text
    }
    if !names.isEmpty {
      var table = Columns([.left, .left, .left])
      table.add(["NAME", "CHECKPOINT", "FOR"])
      for named in names {
        table.add([
          named.publication.name.description,
          (named.label.isEmpty ? named.generation : named.label)
            + (named.fault.isEmpty ? "" : " (\(named.fault))"),
          named.rulesText,
        ])
      }
      text += "\n" + table.text
    }
    if !clients.isEmpty {
      var table = Columns([.right, .right, .right, .right, .left, .left, .left])
      table.add(["PROCESS", "USER", "LEASES", "CALLS", "LABEL", "COMMAND", "CHECKPOINTS"])
      for client in clients {
        table.add([
          String(client.processID), userText(client.userID), String(client.leaseCount),
          String(client.callCount), client.label, client.command, leasesText(client),
        ])
      }
      text += "\n" + table.text
    }
    return text
  }

  /// The checkpoints that a client leases, by their paths where the report has these.
  private func leasesText(_ client: StatusReport.Client) -> String {
    var names: [String] = []
    for lease in client.leases {
      let label = checkpoints.first { $0.generation == lease }?.label ?? ""
      let name = label.isEmpty ? lease : label
      if !names.contains(name) { names.append(name) }
    }
    return names.joined(separator: " ")
  }

  /// What is charged beside arenas: parsed indexes, remembered answers and what calls need.
  private var otherChargedByteCount: Int {
    max(0, chargedByteCount - arenaByteCount - keptArenaByteCount)
  }

  private var refusedText: String {
    let count = counters.first { $0.name == "room_refused" }?.value ?? 0
    return count == 0 ? "" : "refused  \(count) requests for memory\n"
  }

  private var uptimeText: String { durationText(uptimeMilliseconds) }

  /// Makes the report, with the names of the protocol's fields.
  fileprivate var json: JSON {
    .object([
      ("daemon_version", .text(daemonVersion)), ("process_id", .number(processID)),
      ("uptime_ms", .number(uptimeMilliseconds)), ("client_count", .number(clientCount)),
      ("client_limit", .number(clientLimit)),
      ("lease_count", .number(leaseCount)), ("warm_bytes", .number(warmByteCount)),
      ("arena_bytes", .number(arenaByteCount)),
      ("huge_arena_bytes", .number(hugeArenaByteCount)),
      ("budget_bytes", .number(budgetByteCount)),
      ("charged_bytes", .number(chargedByteCount)),
      ("kept_arena_bytes", .number(keptArenaByteCount)),
      ("own_charged_bytes", .number(ownChargedByteCount)),
      ("own_kept_arena_bytes", .number(ownKeptArenaByteCount)),
      ("users", .list(users.map(JSON.init))),
      ("checkpoints", .list(checkpoints.map(JSON.init))),
      ("names", .list(names.map(JSON.init))),
      ("clients", .list(clients.map(JSON.init))),
      ("counters", .object(counters.map { ($0.name, .number($0.value)) })),
    ])
  }
}

extension JSON {
  fileprivate init(_ user: StatusReport.User) {
    self = .object([
      ("user_id", .number(user.userID)), ("charged_bytes", .number(user.chargedByteCount)),
      ("kept_arena_bytes", .number(user.keptArenaByteCount)),
      ("client_count", .number(user.clientCount)),
    ])
  }
}

extension StatusReport.Named {
  /// Who may use the name, as far as the report says so.
  fileprivate var rulesText: String {
    if label.isEmpty { return "this user" }
    let rules =
      publication.users.map { "user \(userText(Int($0)))" }
      + publication.groups.map { "group \(groupText(Int($0)))" }
    return rules.isEmpty ? "everyone" : rules.joined(separator: ", ")
  }
}

extension StatusReport.Checkpoint {
  /// What keeps the checkpoint: a pin, leases, or how long nothing has.
  fileprivate var keptText: String {
    if isPinned {
      return "pinned" + (lockedByteCount > 0 ? ", \(bytesText(lockedByteCount)) locked" : "")
        + (endOfPin.isEmpty ? "" : ", not kept over restarts: \(endOfPin)")
    }
    return leaseCount > 0 ? "leased" : "unused for \(durationText(idleMilliseconds))"
  }
}

/// A user's name, or the number of a user without one.
private func userText(_ userID: Int) -> String {
  UInt32(exactly: userID).flatMap(UserDatabase.userName(of:)) ?? String(userID)
}

/// A group's name, or the number of a group without one.
private func groupText(_ groupID: Int) -> String {
  UInt32(exactly: groupID).flatMap(UserDatabase.groupName(of:)) ?? String(groupID)
}

/// Returns a time for people: `2 min 5 s`.
private func durationText(_ milliseconds: Int) -> String {
  let seconds = milliseconds / 1000
  let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60)
  if days > 0 { return "\(days) d \(hours) h" }
  if hours > 0 { return "\(hours) h \(minutes) min" }
  return minutes > 0 ? "\(minutes) min \(seconds % 60) s" : "\(seconds) s"
}

extension JSON {
  fileprivate init(_ checkpoint: StatusReport.Checkpoint) {
    self = .object([
      ("generation", .text(checkpoint.generation)),
      ("format", .text(checkpoint.format?.rawValue ?? "unknown")),
      ("label", .text(checkpoint.label)), ("tensor_count", .number(checkpoint.tensorCount)),
      ("byte_count", .number(checkpoint.byteCount)),
      ("verified_bytes", .number(checkpoint.verifiedByteCount)),
      ("cached_bytes", .number(checkpoint.cachedByteCount)),
      ("arena_count", .number(checkpoint.arenaCount)),
      ("arena_bytes", .number(checkpoint.arenaByteCount)),
      ("huge_arena_bytes", .number(checkpoint.hugeArenaByteCount)),
      ("lease_count", .number(checkpoint.leaseCount)), ("pinned", .bool(checkpoint.isPinned)),
      ("end_of_pin", .text(checkpoint.endOfPin)),
      ("locked_bytes", .number(checkpoint.lockedByteCount)),
      ("idle_ms", .number(checkpoint.idleMilliseconds)),
      (
        "sha256",
        checkpoint.sha256.isEmpty ? .literal("null") : .text(checkpoint.sha256.hexadecimal)
      ),
    ])
  }

  fileprivate init(_ named: StatusReport.Named) {
    self = .object([
      ("name", .text(named.publication.name.text)), ("generation", .text(named.generation)),
      ("label", .text(named.label)), ("fault", .text(named.fault)),
      ("users", .list(named.publication.users.map { .number(Int($0)) })),
      ("groups", .list(named.publication.groups.map { .number(Int($0)) })),
    ])
  }

  fileprivate init(_ client: StatusReport.Client) {
    self = .object([
      ("process_id", .number(client.processID)), ("user_id", .number(client.userID)),
      ("label", .text(client.label)), ("command", .text(client.command)),
      ("lease_count", .number(client.leaseCount)), ("call_count", .number(client.callCount)),
      ("leases", .list(client.leases.map { .text($0) })),
    ])
  }
}
