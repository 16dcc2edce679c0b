internal import CMessages
internal import CProtobufC
package import TensorModel

/// A response of `Resolve`: some regions, and handles into regions that have been named so far.
package struct ResolveReply: Sendable {
  /// A run of memory to map.
  package struct Region: Sendable, Hashable {
    /// Where the client finds it.
    package enum Place: Sendable, Hashable {
      /// A file that the client passed, by its position in the reference.
      case file(Int)
      /// An arena, by its position among the frame's descriptors.
      case arena(descriptor: Int)
    }

    /// Unique on the connection; the same arena has the same id.
    package var id: UInt64
    package var place: Place
    package var byteCount: Int
    /// `sealed` or `best-effort`.
    package var stability: String

    package init(id: UInt64, place: Place, byteCount: Int, stability: String) {
      self.id = id
      self.place = place
      self.byteCount = byteCount
      self.stability = stability
    }
  }

  /// A variable that was not assigned because the checkpoint lacks the tensor.
  package struct Skipped: Sendable, Hashable {
    package var variable: Int
    package var tensor: Name

    package init(variable: Int, tensor: Name) {
      self.variable = variable
      self.tensor = tensor
    }
  }

  /// In the first response, if the call opened the checkpoint.
  package var checkpoint: OpenReply?
  package var regions: [Region] = []
  package var handles = Handles()
  package var skipped: [Skipped] = []
  /// Positions of pairs of the map that matched no variable.
  package var unused: [Int] = []

  package init() {}

  /// Forgets all, for the next response to the call.
  package mutating func clear() {
    checkpoint = nil
    regions.removeAll(keepingCapacity: true)
    handles.removeAll()
    skipped.removeAll(keepingCapacity: true)
    unused = []
  }
}

extension ResolveReply {
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__resolve_reply__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    checkpoint = unsafe message.checkpoint.map { unsafe OpenReply($0.pointee) }
    for index in 0..<(unsafe message.n_regions) {
      guard let region = unsafe message.regions[index]?.pointee else { continue }
      regions.append(try unsafe Region(region))
    }
    if let handles = unsafe message.handles?.pointee { self.handles = try unsafe Handles(handles) }
    if let skipped = unsafe message.skipped?.pointee {
      let variables = unsafe column(skipped.variables, skipped.n_variables)
      let tensors = try unsafe NameList(
        skipped.tensors, count: variables.count, of: "skipped variables")
      self.skipped = variables.indices.map {
        Skipped(variable: Int(variables[$0]), tensor: tensors[$0])
      }
    }
    unused = unsafe column(message.unused, message.n_unused).map { Int($0) }
  }
}

extension ResolveReply.Region {
  fileprivate init(_ message: Warmstart__V1__Region) throws(MessageError) {
    switch unsafe message.kind {
    case WARMSTART__V1__REGION__KIND__FILE: place = unsafe .file(Int(message.file))
    case WARMSTART__V1__REGION__KIND__ARENA:
      place = unsafe .arena(descriptor: Int(message.descriptor))
    default: throw .malformed("a region of an unknown kind")
    }
    id = unsafe message.id
    byteCount = unsafe Int(clamping: message.byte_count)
    stability = unsafe text(message.stability)
  }

  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__Region>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__region__init(message)
    switch place {
    case .file(let position):
      unsafe message.pointee.kind = WARMSTART__V1__REGION__KIND__FILE
      unsafe message.pointee.file = UInt32(position)
    case .arena(let position):
      unsafe message.pointee.kind = WARMSTART__V1__REGION__KIND__ARENA
      unsafe message.pointee.descriptor = UInt32(position)
    }
    unsafe message.pointee.id = id
    unsafe message.pointee.byte_count = UInt64(byteCount)
    unsafe message.pointee.stability = scratch.text(stability)
  }
}

extension OutgoingFrame {
  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: ResolveReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__ResolveReply()
    unsafe warmstart__v1__resolve_reply__init(&message)
    if let checkpoint = reply.checkpoint {
      unsafe message.checkpoint = checkpoint.message(scratch)
    }
    unsafe message.n_regions = reply.regions.count
    unsafe message.regions = scratch.messages(reply.regions) { region, message in
      unsafe region.fill(message, scratch)
    }
    if reply.handles.count > 0 { unsafe message.handles = reply.handles.message(scratch) }
    if !reply.skipped.isEmpty { unsafe message.skipped = reply.skipped.message(scratch) }
    unsafe message.n_unused = reply.unused.count
    unsafe message.unused = scratch.column(reply.unused.map { UInt32($0) })
    unsafe begin(&message.base)
  }
}

extension [ResolveReply.Skipped] {
  fileprivate func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Skipped> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Skipped.self)
    unsafe warmstart__v1__skipped__init(message)
    unsafe message.pointee.n_variables = count
    unsafe message.pointee.variables = scratch.column(map { UInt32($0.variable) })
    unsafe message.pointee.tensors = scratch.names(count) { self[$0].tensor }
    return unsafe message
  }
}
