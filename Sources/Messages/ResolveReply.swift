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

  /// The bytes that one variable needs.
  package struct Handle: Sendable, Hashable {
    /// The position in the request's variables.
    package var variable: Int
    package var tensor: Name
    package var dtype: DataType
    package var shape: Shape
    /// Bytes from one index to the next on each axis; none for a dense array in C order.
    package var strides: [Int]
    /// The id of the region.
    package var region: UInt64
    package var offset: Int
    package var byteCount: Int
    package var alignment: Int
    /// What was cut out of the tensor; nil for all of it.
    package var slice: Slice?

    package init(
      variable: Int, tensor: Name, dtype: DataType, shape: Shape, strides: [Int], region: UInt64,
      offset: Int, byteCount: Int, alignment: Int, slice: Slice?
    ) {
      self.variable = variable
      self.tensor = tensor
      self.dtype = dtype
      self.shape = shape
      self.strides = strides
      self.region = region
      self.offset = offset
      self.byteCount = byteCount
      self.alignment = alignment
      self.slice = slice
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

  /// In the first response.
  package var checkpoint: OpenReply?
  package var regions: [Region] = []
  package var handles: [Handle] = []
  package var skipped: [Skipped] = []
  /// Positions of pairs of the map that matched no variable.
  package var unused: [Int] = []

  package init() {}
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
    for index in 0..<(unsafe message.n_handles) {
      guard let handle = unsafe message.handles[index]?.pointee else { continue }
      handles.append(try unsafe Handle(handle))
    }
    for index in 0..<(unsafe message.n_skipped) {
      guard let variable = unsafe message.skipped[index]?.pointee else { continue }
      skipped.append(
        unsafe Skipped(variable))
    }
    unused = unsafe UnsafeBufferPointer(start: message.unused, count: message.n_unused)
      .map { Int($0) }
  }
}

extension ResolveReply.Skipped {
  fileprivate init(_ message: Warmstart__V1__SkippedVariable) {
    unsafe self.init(variable: Int(message.variable), tensor: Name(bytes(message.tensor)))
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

extension ResolveReply.Handle {
  fileprivate init(_ message: Warmstart__V1__Handle) throws(MessageError) {
    guard let dtype = unsafe DataType(rawValue: message.dtype) else {
      throw .malformed("a handle of an unknown dtype")
    }
    self.dtype = dtype
    variable = unsafe Int(message.variable)
    tensor = unsafe Name(bytes(message.tensor))
    shape = unsafe Shape(integers(message.shape, message.n_shape))
    strides = unsafe integers(message.strides, message.n_strides)
    region = unsafe message.region
    offset = unsafe Int(clamping: message.offset)
    byteCount = unsafe Int(clamping: message.byte_count)
    alignment = unsafe Int(message.alignment)
    slice = try unsafe Slice(unpacking: message.slice)
  }

  fileprivate func fill(
    _ message: UnsafeMutablePointer<Warmstart__V1__Handle>, _ scratch: Scratch
  ) {
    unsafe warmstart__v1__handle__init(message)
    unsafe message.pointee.variable = UInt32(variable)
    unsafe message.pointee.tensor = scratch.bytes(tensor.bytes)
    unsafe message.pointee.dtype = dtype.rawValue
    unsafe message.pointee.n_shape = shape.rank
    unsafe message.pointee.shape = scratch.integers(shape.lengths)
    unsafe message.pointee.n_strides = strides.count
    unsafe message.pointee.strides = scratch.integers(strides)
    unsafe message.pointee.region = region
    unsafe message.pointee.offset = UInt64(offset)
    unsafe message.pointee.byte_count = UInt64(byteCount)
    unsafe message.pointee.alignment = UInt32(alignment)
    guard let slice else { return }
    let extents = unsafe scratch.make(1, of: Warmstart__V1__SliceExtents.self)
    unsafe slice.fill(extents, scratch)
    unsafe message.pointee.slice = extents
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
    unsafe message.n_handles = reply.handles.count
    unsafe message.handles = scratch.messages(reply.handles) { handle, message in
      unsafe handle.fill(message, scratch)
    }
    unsafe message.n_skipped = reply.skipped.count
    unsafe message.skipped = scratch.messages(reply.skipped) { skipped, message in
      unsafe warmstart__v1__skipped_variable__init(message)
      unsafe message.pointee.variable = UInt32(skipped.variable)
      unsafe message.pointee.tensor = scratch.bytes(skipped.tensor.bytes)
    }
    let unused = unsafe scratch.make(reply.unused.count, of: UInt32.self)
    for (index, position) in reply.unused.enumerated() { unsafe unused[index] = UInt32(position) }
    unsafe message.n_unused = reply.unused.count
    unsafe message.unused = unused
    unsafe begin(&message.base)
  }
}
