/// The outcome of a call, with gRPC's numbers.
public enum StatusCode: Int32, Sendable, Hashable, CaseIterable {
  case ok = 0
  case cancelled = 1
  case unknown = 2
  case invalidArgument = 3
  case deadlineExceeded = 4
  case notFound = 5
  case alreadyExists = 6
  case permissionDenied = 7
  case resourceExhausted = 8
  case failedPrecondition = 9
  case aborted = 10
  case outOfRange = 11
  case unimplemented = 12
  case `internal` = 13
  case unavailable = 14
  case dataLoss = 15
  case unauthenticated = 16

  /// The name as gRPC spells it: `INVALID_ARGUMENT`.
  public var name: String {
    var text = ""
    for letter in "\(self)" {
      if letter.isUppercase { text += "_" }
      text += letter.uppercased()
    }
    return text
  }
}

/// Why a call failed, in a word that scripts can compare; each belongs to one code.
public enum Reason: String, Sendable, Hashable, CaseIterable {
  case checkpointNotFound = "CHECKPOINT_NOT_FOUND"
  case checkpointStateInvalid = "CHECKPOINT_STATE_INVALID"
  case checkpointChanged = "CHECKPOINT_CHANGED"
  case tensorNotFound = "TENSOR_NOT_FOUND"
  case ambiguousName = "AMBIGUOUS_NAME"
  case scopeOnly = "SCOPE_ONLY"
  case nothingAssigned = "NOTHING_ASSIGNED"
  case pairUnused = "PAIR_UNUSED"
  case variableNotCovered = "VARIABLE_NOT_COVERED"
  case shapeMismatch = "SHAPE_MISMATCH"
  case slicesDiffer = "SLICES_DIFFER"
  case dtypeMismatch = "DTYPE_MISMATCH"
  case slicesIncomplete = "SLICES_INCOMPLETE"
  case slicesOverlap = "SLICES_OVERLAP"
  case checksumMismatch = "CHECKSUM_MISMATCH"
  case corrupt = "CORRUPT"
  case truncated = "TRUNCATED"
  case versionMismatch = "VERSION_MISMATCH"
  case unsupported = "UNSUPPORTED"
  case quota = "QUOTA"
  case budget = "BUDGET"
  case notAllowed = "NOT_ALLOWED"
  case serviceUnknown = "SERVICE_UNKNOWN"
  case invalidRequest = "INVALID_REQUEST"
  case deadline = "DEADLINE"
  case cancelled = "CANCELLED"
  case draining = "DRAINING"
  case connection = "CONNECTION"
  case system = "SYSTEM"

  /// The gRPC code that the reason belongs to.
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
    case .deadline: .deadlineExceeded
    case .cancelled: .cancelled
    case .draining, .connection: .unavailable
    }
  }
}

/// One thing that is wrong with a request or a checkpoint.
public struct Problem: Sendable, Hashable, Error {
  /// What kind of problem it is.
  public var reason: Reason
  /// What is wrong, naming the thing and what was expected; short, lower case.
  public var message: String
  /// The key of the assignment map that it is about, if any.
  public var key: Name?
  /// The variable that it is about, if any.
  public var variable: Name?
  /// The tensor that it is about, if any.
  public var tensor: Name?

  /// Describes a problem.
  public init(
    _ reason: Reason, _ message: String, key: Name? = nil, variable: Name? = nil,
    tensor: Name? = nil
  ) {
    self.reason = reason
    self.message = message
    self.key = key
    self.variable = variable
    self.tensor = tensor
  }
}
