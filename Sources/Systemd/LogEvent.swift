/// Something that the daemon logs.
///
/// Each kind has an id, which `systemd/warmstart.catalog` explains to people (`journalctl -x`), and
/// programs find entries by it. A journal entry has the values of an event as fields, so that no
/// program needs to parse its text.
package struct LogEvent: Sendable {
  /// What happened; the raw value is the MESSAGE_ID, which never changes.
  package enum Kind: String, CaseIterable, Sendable {
    /// The daemon listens.
    case started = "304bbaea2d574134a7e25d2301834a75"
    /// The daemon has ended all it did, and exits.
    case stopped = "88fe398536724bb18e5442b9dfd42150"
    /// The daemon exits although calls have not ended.
    case stoppedLate = "fe30a110d5944a1aa737f0b67d5be500"
    /// The daemon cannot start.
    case startRefused = "60c31dc80e5c479db1a498e5326041f4"
    /// The daemon uses the configuration that it has read again.
    case reloaded = "47da44c0c62a43488a330bdfc9f19292"
    /// The daemon keeps its configuration, because the new one is wrong.
    case reloadRefused = "3443e691b70249f3b3d43e31cd468357"
    /// A setting is allowed, but will probably do harm.
    case doubtfulSetting = "b0489309d0854610affd8223aa31632a"
    /// The daemon has taken over what its last process left.
    case restored = "3dd613e22c394cf6a2f7c0c3e9269857"
    /// The daemon cannot use something that its last process left.
    case discarded = "3742b617254a43e1a1764a5ad9567ab8"
    /// The daemon serves before everything is restored.
    case slowRestore = "8b0f73a83a2942eb82ae0dabc0d4c291"
    /// A checkpoint became warm.
    case loaded = "0d4659a233b54eddb1f59be9aaf754eb"
    /// A checkpoint is no longer warm.
    case evicted = "1383e0385944478bb87e32b224b05a0c"
    /// An administrator pinned a checkpoint.
    case pinned = "7659b084a3cc4943aaa77945214bca50"
    /// An administrator ended a pin or a name.
    case unpinned = "d61a3bd53aac496182eb578442dc270c"
    /// A checkpoint lost its pin, because its index is gone.
    case pinLost = "e5852e14912e4904b5b4c488e640d636"
    /// A pin is not kept over a restart of the daemon.
    case pinNotKept = "8e98b278344e41e1b05de8b6b6af3754"
    /// A published name cannot be used any more.
    case nameLost = "c5c93917fefb47d3bda7f7526835638a"
    /// A pinned checkpoint was read again, because the kernel had dropped its files.
    case rewarmed = "642d3daa910e43b69ca035b9d3e5178a"
    /// A user was refused memory, because the budget is used up.
    case refusedByBudget = "8b5270fa059f423290fcb64d17a7942f"
    /// A user was refused something, because of a limit.
    case refusedByQuota = "51074e4a033e42f896986910bd8643a7"
    /// A user may not do what a client asked for.
    case refusedByPermission = "8b20d96eea6749f2a0d2725a6b6d714b"
    /// A connection was not accepted.
    case connectionRefused = "da5262c8057640d1a6fde9a91ee5ff20"
    /// A checkpoint's file changed while it was in use.
    case changedOnDisk = "04b1f84410e94840aeaa2f6ec799990b"
    /// Bytes of a checkpoint do not have their checksum.
    case checksumFailed = "d089f2988c314b028528008429e4b008"
    /// A checkpoint's file breaks the rules of its format.
    case damaged = "e8e4f9f8659544aea850ec4619d6d095"
    /// A connection was ended, because the client did not read or write in time.
    case slowClientDropped = "685f2affa4c1454ebf2945b9bc428c30"
    /// A connection was ended, because of what the client sent.
    case sessionEnded = "0361e92b8e5b4dfa9fed57944459fc98"
    /// A client speaks HTTP to a socket that does not.
    case wrongProtocol = "d303168fc0df43fc9b09f878b1cb34ac"
    /// No thread that serves clients answers any more.
    case stuck = "42772e8f02804e308e648c1a4419cdf7"
    /// The state that SIGUSR1 asked for.
    case stateReport = "ed539f9d11164364a682b861b333b1dd"
    /// Similar messages were left out.
    case suppressed = "cfa83f30cd5842bf86a65e336f5da93d"
    /// Messages were lost, because the log was full.
    case dropped = "ee3190423b4844f2b5e8bc848b7829e5"

    /// How much the event matters.
    package var level: Log.Level {
      switch self {
      case .startRefused, .checksumFailed, .stuck: .error
      case .stoppedLate, .reloadRefused, .doubtfulSetting, .discarded, .slowRestore, .pinLost,
        .pinNotKept,
        .nameLost, .rewarmed,
        .refusedByBudget, .refusedByQuota, .connectionRefused, .damaged, .slowClientDropped,
        .dropped:
        .warning
      case .refusedByPermission, .changedOnDisk, .sessionEnded, .wrongProtocol, .suppressed: .notice
      default: .information
      }
    }
  }

  /// The names of values in the journal.
  package enum Field: String, CaseIterable, Sendable {
    /// The name of the client's user, or the number of a user without one.
    case user = "WARMSTART_USER"
    /// The number of the client's user.
    case userID = "WARMSTART_UID"
    /// The client's process.
    case processID = "WARMSTART_PID"
    /// The path by which the checkpoint was opened, or its generation.
    case checkpoint = "WARMSTART_CHECKPOINT"
    /// The identity of the checkpoint's bytes, as `warmstartctl status` shows it.
    case generation = "WARMSTART_GENERATION"
    /// The name under which the checkpoint is published.
    case name = "WARMSTART_NAME"
    /// A number of bytes, whose meaning the event's text gives.
    case byteCount = "WARMSTART_BYTES"
    /// A number of checkpoints or messages, whose meaning the event's text gives.
    case count = "WARMSTART_COUNT"
    /// The reason that the client got, such as BUDGET, or why a checkpoint was evicted.
    case reason = "WARMSTART_REASON"
    /// The kind of the events that were left out.
    case event = "WARMSTART_EVENT"
    /// The daemon's version.
    case version = "WARMSTART_VERSION"
  }

  package let kind: Kind
  /// What happened, in a sentence for people.
  package let text: String
  package let fields: [(Field, String)]

  /// Describes an event; text from clients must be escaped and short.
  package init(_ kind: Kind, _ text: String, _ fields: [(Field, String)] = []) {
    self.kind = kind
    self.text = text
    self.fields = fields
  }
}
