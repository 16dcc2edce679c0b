import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// What the daemon knows of one of its calls.
///
/// The daemon lists its calls only here: a new call is a line in `all`, a handler in a file of its
/// own, and a `Method`, whose path clients use too.
final class ServedCall: Sendable {
  typealias Handler =
    @Sendable (Session, borrowing IncomingCall, Responder, Caller) throws(CallFailure) -> Void

  let method: Method
  private let path: [UInt8]
  /// Whether only a connection to the administrators' socket may make the call.
  let needsAdministration: Bool
  /// Whether the call may name a checkpoint, which it opens if the request brings the files.
  let mayOpen: Bool
  let handler: Handler

  init(
    _ method: Method, needsAdministration: Bool = false, mayOpen: Bool = false,
    _ handler: @escaping Handler
  ) {
    self.method = method
    path = method.path
    self.needsAdministration = needsAdministration
    self.mayOpen = mayOpen
    self.handler = handler
  }

  private func has(path other: ArraySlice<UInt8>) -> Bool {
    let path = path
    return path.rawSpan.equals(other.rawSpan)
  }

  // The most frequent call first. An array: the first dictionary of a type makes the runtime search
  // all conformances, while the connection that activated the daemon waits.
  static let all = [
    ServedCall(.resolve, mayOpen: true) { session, call, reply, caller throws(CallFailure) in
      try session.resolve(call, reply, caller)
    },
    ServedCall(.hello) { session, call, reply, _ throws(CallFailure) in
      try session.hello(call, reply)
    },
    ServedCall(.open, mayOpen: true) { session, call, reply, caller throws(CallFailure) in
      try session.open(call, reply, caller)
    },
    ServedCall(.close) { session, call, reply, _ throws(CallFailure) in
      try session.close(call, reply)
    },
    ServedCall(.attach) { session, _, reply, caller throws(CallFailure) in
      try session.attach(reply, caller)
    },
    ServedCall(.list, mayOpen: true) { session, call, reply, caller throws(CallFailure) in
      try session.list(call, reply, caller)
    },
    ServedCall(.listObjects, mayOpen: true) {
      session, call, reply, caller throws(CallFailure) in
      try session.listObjects(call, reply, caller)
    },
    ServedCall(.preload, mayOpen: true) { session, call, reply, caller throws(CallFailure) in
      try session.preload(call, reply, caller)
    },
    ServedCall(.pin, needsAdministration: true, mayOpen: true) {
      session, call, reply, caller throws(CallFailure) in
      try session.pin(call, reply, caller)
    },
    ServedCall(.unpin, needsAdministration: true) { session, call, reply, _ throws(CallFailure) in
      try session.unpin(call, reply)
    },
    ServedCall(.evict, needsAdministration: true) { session, call, reply, _ throws(CallFailure) in
      try session.evict(call, reply)
    },
    ServedCall(.status) { session, _, reply, _ throws(CallFailure) in
      try session.status(reply)
    },
    ServedCall(.describe) { _, _, reply, _ throws(CallFailure) in
      try reply.send { frame, _ in frame.beginDescription() }
    },
    ServedCall(.checkHealth) { session, call, reply, _ throws(CallFailure) in
      try session.checkHealth(call, reply)
    },
    ServedCall(.watchHealth) { session, call, reply, caller throws(CallFailure) in
      try session.watchHealth(call, reply, caller)
    },
  ]

  /// Finds the call that a client makes of a method's path.
  ///
  /// - Throws: UNSUPPORTED if there is no call of that path, or if it is not for this client.
  static func find(
    path: ArraySlice<UInt8>, from endpoint: Endpoint
  ) throws(CallFailure) -> ServedCall {
    guard let served = all.first(where: { $0.has(path: path) }) else {
      let name = Client.capped(String(decoding: path, as: UTF8.self))
      let hint = name.hasPrefix("/") ? "" : ", expected a path such as \(Method.hello.rawValue)"
      throw .status(CallStatus(.unsupported, "this daemon does not have the call \(name)\(hint)"))
    }
    guard !served.needsAdministration || endpoint == .administration else {
      throw .status(
        CallStatus(
          .unsupported,
          "the call \(served.method.rawValue) is only available at the administrators' socket"))
    }
    return served
  }
}
