package import WarmstartProtobuf

/// The message `Call`, with the request as a range of the frame's bytes: nothing is copied.
package struct Call: Sendable, Hashable {
  /// The client's number for the call; not 0.
  package var id: UInt64 = 0
  /// Where the method's path lies in the bytes that were parsed; the method may not exist.
  package var path: Range<Int> = 0..<0
  /// Where the request lies in the bytes that were parsed.
  package var request: Range<Int> = 0..<0
  /// How many descriptors the frame carries.
  package var descriptorCount = 0
  /// How long the client waits; nil if it waits for ever.
  package var timeoutMilliseconds: Int?
  /// The features that the daemon must have, or refuse the call.
  package var requiredFeatures: [String] = []

  package init(id: UInt64) {
    self.id = id
  }

  /// Parses a frame's message.
  package init(parsing bytes: ArraySlice<UInt8>) throws(MessageError) {
    var reader = FieldReader(bytes.span, at: bytes.startIndex)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): id = value
      case (2, .bytes(let range)): path = range
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

extension FieldWriter {
  /// Makes a frame from the request that was written: a call of the method with that path.
  package mutating func finish(_ call: Call, path: [UInt8]) {
    wrap(field: 3)
    for feature in call.requiredFeatures.reversed() {
      let text = Array(feature.utf8)
      prepend(field: 6, text.span)
    }
    prepend(field: 5, UInt64(call.timeoutMilliseconds ?? 0))
    prepend(field: 4, UInt64(call.descriptorCount))
    prepend(field: 2, path.span)
    prepend(field: 1, call.id)
    prependPrefix()
  }

  /// Makes a frame from the response, or the status, that was written.
  package mutating func finish(_ reply: Reply, isStatus: Bool = false) {
    wrap(field: isStatus ? 3 : 4)
    prepend(field: 5, reply.more ? 1 : 0)
    prepend(field: 2, UInt64(reply.descriptorCount))
    prepend(field: 1, reply.id)
    prependPrefix()
  }

  /// Writes the prefix, which finishes the frame.
  ///
  /// A prefix cannot express 4 GiB or more; senders compare a frame's length with what the peer
  /// takes before they send it.
  private mutating func prependPrefix() {
    let count = UInt32(clamping: byteCount)
    prepend(bigEndian: count)
    // The flags, of which there are none.
    prepend(varint: 0)
  }
}
