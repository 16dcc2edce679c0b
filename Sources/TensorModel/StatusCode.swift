/// The kind of an outcome, with the numbers of gRPC's status codes.
public enum StatusCode: Int32, Sendable, Hashable, CaseIterable {
  /// The call succeeded; no error has this code.
  case ok = 0
  /// The client gave up the call.
  case cancelled = 1
  /// The kind of failure is not known to this version.
  case unknown = 2
  /// The request is wrong, whatever the state of the daemon.
  case invalidArgument = 3
  /// The time for the call is over.
  case deadlineExceeded = 4
  /// What the request names does not exist.
  case notFound = 5
  /// What the request would create exists; not used today.
  case alreadyExists = 6
  /// The user may not do this.
  case permissionDenied = 7
  /// A limit or the memory is used up; waiting may help.
  case resourceExhausted = 8
  /// The state does not allow the call; not used today.
  case failedPrecondition = 9
  /// A file changed meanwhile: open the checkpoint again.
  case aborted = 10
  /// A file ends before what should be read.
  case outOfRange = 11
  /// The daemon does not support what is asked for.
  case unimplemented = 12
  /// The system failed, or stored slices contradict each other.
  case `internal` = 13
  /// The daemon cannot be reached, or is stopping; waiting may help.
  case unavailable = 14
  /// The checkpoint is damaged.
  case dataLoss = 15
  /// The caller is not known; not used today.
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
