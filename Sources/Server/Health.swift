import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

extension Session {
  /// Answers `Check` of gRPC's health protocol.
  func checkHealth(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, HealthRequest.init(unpacking:_:))
    let health = daemon.health(of: request.service)
    guard health != .serviceUnknown else {
      throw .status(
        CallStatus(
          .serviceUnknown,
          "there is no service \(Client.capped(request.service)), expected "
            + "\(Daemon.services[1]) or none"))
    }
    try reply.send { frame, scratch in frame.begin(health, scratch) }
  }

  /// Answers `Watch` of gRPC's health protocol: replies now, and when the daemon begins to stop.
  ///
  /// The call ends with the connection, which a stopping daemon hangs up, or at its deadline.
  func watchHealth(
    _ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller
  ) throws(CallFailure) {
    let request = try request(call, HealthRequest.init(unpacking:_:))
    let first = daemon.health(of: request.service)
    try reply.send(more: true) { frame, scratch in frame.begin(first, scratch) }
    do { try caller.waitForHangUp() } catch {
      guard daemon.isDraining, error.reason == .cancelled else {
        throw .status(CallStatus(error))
      }
    }
    let last = daemon.health(of: request.service)
    if last != first {
      try reply.send(more: true) { frame, scratch in frame.begin(last, scratch) }
    }
  }
}

extension Daemon {
  /// The services that the health protocol may name: the whole daemon, or its one service.
  static let services = ["", "warmstart.v1.Warmstart"]

  func health(of service: String) -> Health {
    guard Daemon.services.contains(service) else { return .serviceUnknown }
    return isDraining ? .notServing : .serving
  }
}
