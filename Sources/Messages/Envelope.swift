/// A call of the service.
package enum Method: String, Sendable, CaseIterable {
  case hello = "/warmstart.v1.Warmstart/Hello"
  case attach = "/warmstart.v1.Warmstart/Attach"
  case open = "/warmstart.v1.Warmstart/Open"
  case close = "/warmstart.v1.Warmstart/Close"
  case list = "/warmstart.v1.Warmstart/List"
  case resolve = "/warmstart.v1.Warmstart/Resolve"
  case preload = "/warmstart.v1.Warmstart/Preload"
  case verify = "/warmstart.v1.Warmstart/Verify"
  case status = "/warmstart.v1.Warmstart/Status"
  case pin = "/warmstart.v1.Warmstart/Pin"
  case unpin = "/warmstart.v1.Warmstart/Unpin"
  case evict = "/warmstart.v1.Warmstart/Evict"

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

  /// Chosen, not tuned: far more than there are.
  private static let maximumFeatures = 32
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

/// Reads the fields of one message without copying any.
///
/// See protobuf's encoding guide.
struct FieldReader: ~Escapable {
  enum Value {
    case varint(UInt64)
    /// Where the contents of a length-delimited field are.
    case bytes(Range<Int>)
    case other
  }

  private let bytes: Span<UInt8>
  /// What the first byte's place counts as.
  private let base: Int
  private var offset = 0

  /// Reads a message that is all of the bytes; ranges count from `base`.
  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, at base: Int = 0) {
    self.bytes = bytes
    self.base = base
  }

  /// Where the next field begins.
  var position: Int { base + offset }

  @_lifetime(self: copy self)
  mutating func next() throws(MessageError) -> (number: UInt64, value: Value)? {
    guard offset < bytes.count else { return nil }
    let tag = try varint()
    let number = tag >> 3
    guard number != 0 else { throw .malformed("an envelope with a field number 0") }
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1:
      _ = try take(8)
      return (number, .other)
    case 2: return (number, .bytes(try take(try varint())))
    case 5:
      _ = try take(4)
      return (number, .other)
    default: throw .malformed("an envelope with wire type \(tag & 7)")
    }
  }

  @_lifetime(self: copy self)
  private mutating func varint() throws(MessageError) -> UInt64 {
    if offset < bytes.count, bytes[offset] < 0x80 {
      offset += 1
      return UInt64(bytes[offset - 1])
    }
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while shift < 70 {
      guard offset < bytes.count else { throw .malformed("an envelope that ends early") }
      let byte = bytes[offset]
      offset += 1
      if shift < 63 || byte <= 1 { value |= UInt64(byte & 0x7f) << shift }
      if byte < 0x80 { return value }
      shift += 7
    }
    throw .malformed("an envelope with an endless number")
  }

  @_lifetime(self: copy self)
  private mutating func take(_ count: UInt64) throws(MessageError) -> Range<Int> {
    guard count <= UInt64(bytes.count - offset) else {
      throw .malformed("an envelope that ends early")
    }
    offset += Int(count)
    return position - Int(count)..<position
  }
}
