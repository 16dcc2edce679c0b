/// A call of the daemon's services.
package enum Method: String, Sendable, CaseIterable {
  case hello = "/warmstart.v1.Warmstart/Hello"
  case attach = "/warmstart.v1.Warmstart/Attach"
  case open = "/warmstart.v1.Warmstart/Open"
  case close = "/warmstart.v1.Warmstart/Close"
  case list = "/warmstart.v1.Warmstart/List"
  case listObjects = "/warmstart.v1.Warmstart/ListObjects"
  case resolve = "/warmstart.v1.Warmstart/Resolve"
  case status = "/warmstart.v1.Warmstart/Status"
  case describe = "/warmstart.v1.Warmstart/Describe"
  case checkHealth = "/grpc.health.v1.Health/Check"
  case watchHealth = "/grpc.health.v1.Health/Watch"

  /// The bytes of each method's path: comparing strings would cost more than the rest of an envelope.
  private static let paths = allCases.map { ($0, Array($0.rawValue.utf8)) }

  init?(path: ArraySlice<UInt8>) {
    for (method, bytes) in Method.paths where bytes.count == path.count {
      // Methods differ in their last bytes.
      if bytes.last == path.last, path.elementsEqual(bytes) {
        self = method
        return
      }
    }
    return nil
  }

  var path: [UInt8] { Method.paths.first { $0.0 == self }?.1 ?? [] }
}

/// The message `Call`, with the request as a range of the frame's bytes: nothing is copied.
package struct Call: Sendable, Hashable {
  /// The client's number for the call; not 0.
  package var id: UInt64 = 0
  /// The method; nil if it is none that exists.
  package private(set) var knownMethod: Method?
  private var unknownPath = ""
  /// Where the request lies in the bytes that were parsed.
  package var request: Range<Int> = 0..<0
  /// How many descriptors the frame carries.
  package var descriptorCount = 0
  /// How long the client waits; nil for ever.
  package var timeoutMilliseconds: Int?
  /// What the daemon must know, or refuse the call.
  package var requiredFeatures: [String] = []

  package init(id: UInt64, _ method: Method) {
    self.id = id
    knownMethod = method
  }

  /// The method's path; not necessarily one that exists.
  package var method: String {
    get { knownMethod?.rawValue ?? unknownPath }
    set {
      knownMethod = Method(rawValue: newValue)
      unknownPath = knownMethod == nil ? newValue : ""
    }
  }

  /// Parses a frame's message.
  package init(parsing bytes: ArraySlice<UInt8>) throws(MessageError) {
    var reader = FieldReader(bytes.span, at: bytes.startIndex)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): id = value
      case (2, .bytes(let range)):
        knownMethod = Method(path: bytes[range])
        unknownPath = knownMethod == nil ? String(decoding: bytes[range], as: UTF8.self) : ""
      case (3, .bytes(let range)): request = range
      case (4, .varint(let value)): descriptorCount = Int(clamping: value)
      case (5, .varint(let value)): timeoutMilliseconds = value == 0 ? nil : Int(clamping: value)
      case (6, .bytes(let range)):
        guard requiredFeatures.count < Call.maximumFeatures else {
          throw .malformed("more than \(Call.maximumFeatures) required features")
        }
        requiredFeatures.append(String(decoding: bytes[range], as: UTF8.self))
      default: break
      }
    }
    guard id != 0 else { throw .malformed("a call without an id") }
  }

  /// The most required features of a call; chosen, not tuned: far more than there are.
  package static let maximumFeatures = 32
}

/// The message `Reply`, with the response as a range of the frame's bytes.
package struct Reply: Sendable, Hashable {
  /// The id of the call that it answers; 0 for the connection itself.
  package var id: UInt64 = 0
  /// How many descriptors the frame carries.
  package var descriptorCount = 0
  /// Where the status of a failed call lies in the bytes that were parsed.
  package var status: Range<Int>?
  /// Where the response lies in the bytes that were parsed.
  package var response: Range<Int> = 0..<0
  /// Whether more replies to the call follow.
  package var more = false

  package init(id: UInt64) {
    self.id = id
  }

  /// Parses a frame's message.
  package init(parsing bytes: ArraySlice<UInt8>) throws(MessageError) {
    var reader = FieldReader(bytes.span, at: bytes.startIndex)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): id = value
      case (2, .varint(let value)): descriptorCount = Int(clamping: value)
      case (3, .bytes(let range)): status = range
      case (4, .bytes(let range)): response = range
      case (5, .varint(let value)): more = value != 0
      default: break
      }
    }
  }
}

extension OutgoingFrame {
  /// Makes a call of the request that the frame was begun with.
  package mutating func finish(_ call: Call) {
    wrap(field: 3)
    for feature in call.requiredFeatures.reversed() {
      let text = Array(feature.utf8)
      prepend(field: 6, text.span)
    }
    prepend(field: 5, UInt64(call.timeoutMilliseconds ?? 0))
    prepend(field: 4, UInt64(call.descriptorCount))
    let path = call.knownMethod?.path ?? Array(call.method.utf8)
    prepend(field: 2, path.span)
    prepend(field: 1, call.id)
    prependPrefix()
  }

  /// Makes a reply of the response, or the status, that the frame was begun with.
  package mutating func finish(_ reply: Reply, isStatus: Bool = false) {
    wrap(field: isStatus ? 3 : 4)
    prepend(field: 5, reply.more ? 1 : 0)
    prepend(field: 2, UInt64(reply.descriptorCount))
    prepend(field: 1, reply.id)
    prependPrefix()
  }
}
