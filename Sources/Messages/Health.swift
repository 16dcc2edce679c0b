package import WarmstartProtobuf

/// The request of gRPC's health protocol: about which service.
package struct HealthRequest: Sendable, Hashable {
  /// Empty for the daemon as a whole.
  package var service: String

  package init(service: String = "") {
    self.service = service
  }

  /// Unpacks the message `HealthCheckRequest`.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    service = ""
    var reader = FieldReader(message.span)
    while let field = try reader.next() {
      if case (1, .bytes(let range)) = (field.number, field.value) {
        service = String(decoding: message[range], as: UTF8.self)
      }
    }
  }
}

/// How a service is, with the numbers of gRPC's health protocol.
package enum Health: UInt64, Sendable, Hashable {
  case unknown = 0
  case serving = 1
  /// The daemon is stopping.
  case notServing = 2
  /// Only from `Watch`: the service does not exist.
  case serviceUnknown = 3

  /// Unpacks the message `HealthCheckResponse`.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    self = .unknown
    var reader = FieldReader(message.span)
    while let field = try reader.next() {
      if case (1, .varint(let value)) = (field.number, field.value) {
        self = Health(rawValue: value) ?? .unknown
      }
    }
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: HealthRequest, _ scratch: Scratch) {
    begin()
    let service = Array(request.service.utf8)
    if !service.isEmpty { prepend(field: 1, service.span) }
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ health: Health, _ scratch: Scratch) {
    begin()
    prepend(field: 1, health.rawValue)
  }
}
