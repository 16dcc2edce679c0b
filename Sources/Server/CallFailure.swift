import WarmstartMessages
import WarmstartTensorModel
import WarmstartWire

/// Why a call was not answered with a response.
enum CallFailure: Error {
  /// The reply carries the status, and the session goes on.
  case status(CallStatus)
  /// The session ends.
  case wire(WireError)
}

extension WireError {
  /// The reason in the status that the client receives before its session ends.
  var reason: Reason {
    switch self {
    case .overQuota: .quota
    case .timedOut: .deadline
    case .system: .system
    case .endedInFrame, .badFlags, .http, .tooLong, .descriptorsDiffer, .malformed: .invalidRequest
    }
  }
}
