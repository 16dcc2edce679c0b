import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel

extension Session {
  /// The most checkpoints, and the most clients, that a report lists; its totals count all.
  static let maximumListed = 1000
  /// The most leases of one client that a report lists.
  static let maximumListedLeases = 16

  /// Answers `Status`: totals, checkpoints and connections.
  ///
  /// A client sees its own user's checkpoints and connections; an administrator sees all.
  func status(_ reply: Responder) throws(CallFailure) {
    let isAdministrator = client.endpoint == .administration
    var report = daemon.report(for: isAdministrator ? nil : client.peer.uid)
    report.names = daemon.store.names(
      for: isAdministrator ? nil : client.peer.uid, groups: { client.groups }
    ).map { name in
      let generation = name.generation.description
      guard isAdministrator else {
        return StatusReport.Named(
          Publication(name.publication.name), generation: generation, fault: name.fault)
      }
      return StatusReport.Named(
        name.publication, generation: generation, label: name.label, fault: name.fault)
    }
    let users = isAdministrator ? daemon.store.accounts.users() : [client.peer.uid]
    report.users = users.prefix(Session.maximumListed).map { daemon.usage(of: $0) }
    report.ownChargedByteCount = daemon.store.accounts.amount(of: .memory, for: client.peer.uid)
    report.ownKeptArenaByteCount = daemon.store.kept.byteCount(ofUser: client.peer.uid)
    report.clients = daemon.clients.records(ofUser: isAdministrator ? nil : client.peer.uid)
      .prefix(Session.maximumListed)
      .map { record in
        StatusReport.Client(
          processID: Int(record.peer.pid), userID: Int(record.peer.uid), label: record.label,
          command: record.command, leaseCount: record.leases.count,
          callCount: record.counts.calls.value,
          leases: record.leases.prefix(Session.maximumListedLeases).map(\.description))
      }
    try reply.send { frame, scratch in frame.begin(report, scratch) }
  }
}

extension Daemon {
  /// Reports the totals, and the checkpoints of one user or of all; the clients are added later.
  func report(for uid: UInt32?) -> StatusReport {
    var report = StatusReport()
    report.daemonVersion = Daemon.version
    report.processID = Process.id
    report.uptimeMilliseconds = Int((MonotonicClock.nanoseconds() - started) / 1_000_000)
    report.clientCount = clients.count
    report.clientLimit = limits.now.connections
    report.budgetByteCount = store.accounts.limit(of: .memory)
    report.chargedByteCount = store.accounts.amount(of: .memory)
    report.keptArenaByteCount = store.kept.byteCount()
    report.leaseCount = store.leaseCount
    let residents = (uid.map { store.residents(of: $0) } ?? store.residents)
      .prefix(Session.maximumListed)
    store.lookAtCache(of: residents)
    let holdings = store.figures.holdings
    report.arenaByteCount = holdings.arenaByteCount
    report.hugeArenaByteCount = holdings.hugeArenaByteCount
    report.warmByteCount = holdings.warmByteCount
    let now = MonotonicClock.nanoseconds()
    for use in residents {
      let resident = use.resident
      let holdings = resident.holdings
      var checkpoint = StatusReport.Checkpoint(
        generation: resident.generation.description, format: resident.checkpoint.format,
        label: uid == nil || uid == resident.openedBy ? resident.label : "")
      checkpoint.tensorCount = resident.checkpoint.catalog.count
      checkpoint.byteCount = resident.checkpoint.byteCount
      checkpoint.verifiedByteCount = holdings.verifiedByteCount
      checkpoint.cachedByteCount = holdings.cachedByteCount
      checkpoint.arenaCount = holdings.arenaCount
      checkpoint.arenaByteCount = holdings.arenaByteCount
      checkpoint.hugeArenaByteCount = holdings.hugeArenaByteCount
      checkpoint.sha256 = resident.sha256 ?? []
      checkpoint.leaseCount = use.leaseCount
      checkpoint.isPinned = use.isPinned
      checkpoint.endOfPin = store.endOfPin(resident)
      checkpoint.lockedByteCount = resident.lockedByteCount
      checkpoint.idleMilliseconds = use.unusedSince.map { Int((now - $0) / 1_000_000) } ?? 0
      report.checkpoints.append(checkpoint)
    }
    let counters = store.figures.counters
    report.counters = [
      StatusReport.Counter("opens", counters.opens),
      StatusReport.Counter("indexes_parsed", counters.indexesParsed),
      StatusReport.Counter("loads_begun", counters.loads),
      StatusReport.Counter("loads_awaited", counters.awaitedLoads),
      StatusReport.Counter("runs_verified", counters.verifiedRuns),
      StatusReport.Counter("arenas_made", counters.arenas),
      StatusReport.Counter("pieces_made", counters.pieces),
      StatusReport.Counter("repeated_answers", counters.repeatedAnswers),
      StatusReport.Counter("checkpoints_evicted", counters.evictions),
      StatusReport.Counter("pins_rewarmed", counters.rewarmedPins),
      StatusReport.Counter("room_refused", counters.refusals),
      StatusReport.Counter("checksum_failures", counters.checksumFailures),
      StatusReport.Counter("checkpoints_restored", counters.restoredCheckpoints),
      StatusReport.Counter("arenas_restored", counters.restoredArenas),
    ]
    return report
  }

  /// What one user has taken.
  fileprivate func usage(of uid: UInt32) -> StatusReport.User {
    StatusReport.User(
      userID: Int(uid), chargedByteCount: store.accounts.amount(of: .memory, for: uid),
      keptArenaByteCount: store.kept.byteCount(ofUser: uid),
      clientCount: store.accounts.amount(of: .connections, for: uid))
  }

  /// The line that `systemctl status` shows.
  var summary: String {
    let warm = store.figures.holdings.warmByteCount
    func counted(_ count: Int, _ noun: String) -> String {
      "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
    return counted(store.residentCount, "checkpoint") + ", \(Resource.memory.text(warm)) warm, "
      + counted(clients.count, "client") + ", " + counted(store.leaseCount, "lease") + ", "
      + counted(store.pinCount, "pin")
  }
}
