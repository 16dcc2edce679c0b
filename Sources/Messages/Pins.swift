internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// The request of `Pin`.
package struct PinRequest: Sendable, Hashable {
  package var checkpoint: CheckpointReference
  /// The name to publish the checkpoint under, and who may use it.
  package var publication: Publication?
  /// Whether to lock what is warm into memory.
  package var isLocked: Bool

  package init(
    _ checkpoint: CheckpointReference, as publication: Publication? = nil, isLocked: Bool = false
  ) {
    self.checkpoint = checkpoint
    self.publication = publication
    self.isLocked = isLocked
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__pin_request__unpack($0, $1, $2) })
    checkpoint = try unsafe CheckpointReference(
      message.pointee.checkpoint, of: message.pointee.base, in: bytes)
    isLocked = unsafe message.pointee.lock != 0
    publication = nil
    if let published = unsafe message.pointee.publication?.pointee {
      try unsafe Scratch.expectWholeTexts(in: bytes, of: message.pointee.base)
      publication = try unsafe Publication(published)
    }
  }
}

extension Publication {
  init(_ message: Warmstart__V1__Publication) throws(MessageError) {
    do {
      try unsafe self.init(
        PublishedName(text(message.name)),
        users: [UInt32](column(message.users, message.n_users)),
        groups: [UInt32](column(message.groups, message.n_groups)))
    } catch {
      throw .malformed(error.message)
    }
  }

  func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Publication> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Publication.self)
    unsafe warmstart__v1__publication__init(message)
    unsafe message.pointee.name = scratch.text(name.text)
    unsafe message.pointee.n_users = users.count
    unsafe message.pointee.users = scratch.column(users)
    unsafe message.pointee.n_groups = groups.count
    unsafe message.pointee.groups = scratch.column(groups)
    return unsafe message
  }
}

/// The request of `Unpin` and of `Evict`: a checkpoint by the generation that reports show, or, for
/// `Unpin`, by its name.
package struct GenerationRequest: Sendable, Hashable {
  /// For `Evict`, empty for all checkpoints that nothing keeps.
  package var generation: String
  /// For `Unpin`, the name instead of a generation; not checked yet.
  package var name: String?

  package init(generation: String) {
    self.generation = generation
  }

  package init(name: String) {
    generation = ""
    self.name = name
  }

  /// Unpacks an `UnpinRequest`, whose first field `EvictRequest` has as well.
  ///
  /// Read without protobuf-c, whose strings end at a NUL: a generation that begins with one would
  /// stand for all checkpoints.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    var reader = FieldReader(message.span)
    generation = ""
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let range)):
        generation = String(decoding: message[range], as: UTF8.self)
      case (2, .bytes(let range)):
        name = String(decoding: message[range], as: UTF8.self)
      case (1, _), (2, _): throw .malformed("a generation or a name that is not a text")
      default: break
      }
    }
  }
}

/// The response of `Pin`.
package struct PinReply: Sendable, Hashable {
  /// If the call opened the checkpoint.
  package var checkpoint: OpenReply?
  /// The checkpoint that had the name before, if it was another: its generation and its label.
  package var replacedGeneration = ""
  package var replacedLabel = ""

  package init(checkpoint: OpenReply?) {
    self.checkpoint = checkpoint
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__pin_reply__unpack($0, $1, $2) })
    checkpoint = unsafe message.pointee.checkpoint.map { unsafe OpenReply($0.pointee) }
    replacedGeneration = unsafe text(message.pointee.replaced_generation)
    replacedLabel = unsafe text(message.pointee.replaced_label)
  }
}

/// What `Evict` did: how many checkpoints it evicted, and how many stay, and why.
public struct Evicted: Sendable, Hashable {
  /// The number of checkpoints that were evicted.
  public let checkpointCount: Int
  /// The number of checkpoints that stay because they are pinned.
  public let pinnedCount: Int
  /// The number of checkpoints that stay because clients lease them.
  public let leasedCount: Int

  package init(checkpointCount: Int, pinnedCount: Int, leasedCount: Int) {
    self.checkpointCount = checkpointCount
    self.pinnedCount = pinnedCount
    self.leasedCount = leasedCount
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__evict_reply__unpack($0, $1, $2) })
    checkpointCount = unsafe Int(message.pointee.checkpoint_count)
    pinnedCount = unsafe Int(message.pointee.pinned_count)
    leasedCount = unsafe Int(message.pointee.leased_count)
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: PinRequest, _ scratch: Scratch) {
    begin()
    if request.isLocked { prepend(field: 3, 1) }
    if let publication = request.publication {
      prepend(field: 2) { frame in
        frame.prepend(field: 3, count: publication.groups.count) { publication.groups[$0] }
        frame.prepend(field: 2, count: publication.users.count) { publication.users[$0] }
        frame.prepend(field: 1, text: publication.name.text)
      }
    }
    prepend(field: 1) { frame in frame.prepend(request.checkpoint) }
  }

  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: GenerationRequest) {
    begin()
    if let name = request.name { prepend(field: 2, text: name) }
    let bytes = Array(request.generation.utf8)
    prepend(field: 1, bytes.span)
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: PinReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__PinReply()
    unsafe warmstart__v1__pin_reply__init(&message)
    if let checkpoint = reply.checkpoint {
      unsafe message.checkpoint = checkpoint.message(scratch)
    }
    unsafe message.replaced_generation = scratch.text(reply.replacedGeneration)
    unsafe message.replaced_label = scratch.text(reply.replacedLabel)
    unsafe begin(&message.base)
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: Evicted) {
    begin()
    prepend(field: 3, UInt64(reply.leasedCount))
    prepend(field: 2, UInt64(reply.pinnedCount))
    prepend(field: 1, UInt64(reply.checkpointCount))
  }
}
