/// Why a call failed, in one word that programs compare; people read `WarmstartError.message`.
///
/// The set is open: a newer daemon may send a word that has no constant here, and keeps it. So a
/// `switch` over reasons needs a `default`.
public struct Reason: RawRepresentable, Sendable, Hashable {
  /// The word as the protocol spells it: `TENSOR_NOT_FOUND`.
  public let rawValue: String

  /// Makes a reason from its word.
  ///
  /// - Parameter rawValue: The word, of those below or of a newer daemon's.
  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  /// No checkpoint is at the path, or one of its files is missing.
  public static let checkpointNotFound = Reason(rawValue: "CHECKPOINT_NOT_FOUND")
  /// A directory's `checkpoint` file cannot be read as one, or names no checkpoint.
  public static let checkpointStateInvalid = Reason(rawValue: "CHECKPOINT_STATE_INVALID")
  /// A file of the checkpoint changed while it was open: open it again.
  public static let checkpointChanged = Reason(rawValue: "CHECKPOINT_CHANGED")
  /// The checkpoint lacks a tensor that the map names.
  public static let tensorNotFound = Reason(rawValue: "TENSOR_NOT_FOUND")
  /// A full name stands for several tensors that differ.
  public static let ambiguousName = Reason(rawValue: "AMBIGUOUS_NAME")
  /// A key without a `/` at its end has a target that is no variable: only scopes map to scopes.
  public static let scopeOnly = Reason(rawValue: "SCOPE_ONLY")
  /// The map assigns nothing to any variable.
  public static let nothingAssigned = Reason(rawValue: "NOTHING_ASSIGNED")
  /// A pair of the map matches no variable.
  public static let pairUnused = Reason(rawValue: "PAIR_UNUSED")
  /// A variable is matched by no pair of the map, and `requireAll` asked for all.
  public static let variableNotCovered = Reason(rawValue: "VARIABLE_NOT_COVERED")
  /// A tensor has another shape than its variable.
  public static let shapeMismatch = Reason(rawValue: "SHAPE_MISMATCH")
  /// A list of partitions mixes partitions of different variables.
  public static let slicesDiffer = Reason(rawValue: "SLICES_DIFFER")
  /// A tensor has another element type than its variable; tensors are never cast.
  public static let dtypeMismatch = Reason(rawValue: "DTYPE_MISMATCH")
  /// The slices that the checkpoint stores do not cover what a variable needs.
  public static let slicesIncomplete = Reason(rawValue: "SLICES_INCOMPLETE")
  /// Slices that the checkpoint stores overlap.
  public static let slicesOverlap = Reason(rawValue: "SLICES_OVERLAP")
  /// Stored bytes do not have the checksum that was stored with them.
  public static let checksumMismatch = Reason(rawValue: "CHECKSUM_MISMATCH")
  /// A file of the checkpoint breaks the rules of its format.
  public static let corrupt = Reason(rawValue: "CORRUPT")
  /// A file of the checkpoint ends too early.
  public static let truncated = Reason(rawValue: "TRUNCATED")
  /// A newer TensorFlow wrote the checkpoint, for readers of a later version.
  public static let versionMismatch = Reason(rawValue: "VERSION_MISMATCH")
  /// The daemon cannot do this, or not with this type, format or file.
  public static let unsupported = Reason(rawValue: "UNSUPPORTED")
  /// A user's share is used up; the call may succeed after `retryDelay`.
  public static let quota = Reason(rawValue: "QUOTA")
  /// The daemon's memory is used up; the call may succeed after `retryDelay`.
  public static let budget = Reason(rawValue: "BUDGET")
  /// This user may not open a file, or not connect to the daemon.
  public static let notAllowed = Reason(rawValue: "NOT_ALLOWED")
  /// A checkpoint is leased or pinned, and so cannot be evicted.
  public static let inUse = Reason(rawValue: "IN_USE")
  /// The daemon has no service of the name that a health check asked for.
  public static let serviceUnknown = Reason(rawValue: "SERVICE_UNKNOWN")
  /// An argument, a declaration or a message contradicts itself or a limit, or a tensor cannot be
  /// used as asked: its type or layout is another.
  public static let invalidRequest = Reason(rawValue: "INVALID_REQUEST")
  /// The timeout passed before the call was done.
  public static let deadline = Reason(rawValue: "DEADLINE")
  /// The client hung up before the call was done.
  public static let cancelled = Reason(rawValue: "CANCELLED")
  /// The daemon is stopping; the next one answers on a new connection.
  public static let draining = Reason(rawValue: "DRAINING")
  /// The daemon cannot be reached, or its answer cannot be used.
  public static let connection = Reason(rawValue: "CONNECTION")
  /// The operating system failed to do its part.
  public static let system = Reason(rawValue: "SYSTEM")

  /// All reasons that have a constant.
  package static let known: [Reason] = [
    .checkpointNotFound, .checkpointStateInvalid, .checkpointChanged, .tensorNotFound,
    .ambiguousName, .scopeOnly, .nothingAssigned, .pairUnused, .variableNotCovered, .shapeMismatch,
    .slicesDiffer, .dtypeMismatch, .slicesIncomplete, .slicesOverlap, .checksumMismatch, .corrupt,
    .truncated, .versionMismatch, .unsupported, .quota, .budget, .notAllowed, .inUse,
    .serviceUnknown, .invalidRequest, .deadline, .cancelled, .draining, .connection, .system,
  ]
}

extension Reason {
  /// The gRPC code that the reason belongs to; `unknown` for a reason without a constant.
  public var code: StatusCode {
    switch self {
    case .checkpointNotFound, .tensorNotFound, .serviceUnknown: .notFound
    case .checkpointStateInvalid, .ambiguousName, .scopeOnly, .nothingAssigned, .pairUnused,
      .variableNotCovered, .shapeMismatch, .slicesDiffer,
      .dtypeMismatch, .slicesIncomplete, .versionMismatch, .invalidRequest:
      .invalidArgument
    case .checkpointChanged: .aborted
    case .slicesOverlap, .system: .internal
    case .checksumMismatch, .corrupt: .dataLoss
    case .truncated: .outOfRange
    case .unsupported: .unimplemented
    case .quota, .budget: .resourceExhausted
    case .notAllowed: .permissionDenied
    case .inUse: .failedPrecondition
    case .deadline: .deadlineExceeded
    case .cancelled: .cancelled
    case .draining, .connection: .unavailable
    default: .unknown
    }
  }
}

extension Reason: CustomStringConvertible {
  /// The word as the protocol spells it.
  public var description: String { rawValue }
}
