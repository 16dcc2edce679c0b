internal import CMessages
internal import CProtobufC
package import TensorModel

/// A response of `List`: some of the tensors, in the order of their names.
///
/// The request is `Open`'s.
package struct ListReply: Sendable {
  /// A tensor as the checkpoint has it.
  package struct Tensor: Sendable, Hashable {
    package var name: Name
    package var dtype: DataType
    package var shape: Shape
    /// The bytes as stored.
    package var byteCount: Int
    /// The slices it is stored in; none if it is stored whole.
    package var slices: [Slice]

    package init(
      name: Name, dtype: DataType, shape: Shape, byteCount: Int, slices: [Slice]
    ) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
      self.byteCount = byteCount
      self.slices = slices
    }
  }

  /// In the first response.
  package var checkpoint: OpenReply?
  package var tensors: [Tensor]

  package init(checkpoint: OpenReply?, tensors: [Tensor]) {
    self.checkpoint = checkpoint
    self.tensors = tensors
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__list_reply__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    checkpoint = unsafe message.checkpoint.map { unsafe OpenReply($0.pointee) }
    tensors = []
    for index in 0..<(unsafe message.n_tensors) {
      guard let tensor = unsafe message.tensors[index]?.pointee else { continue }
      tensors.append(try unsafe Tensor(tensor))
    }
  }
}

extension ListReply.Tensor {
  fileprivate init(_ message: Warmstart__V1__Tensor) throws(MessageError) {
    guard let dtype = unsafe DataType(rawValue: message.dtype) else {
      throw .malformed("a tensor of an unknown dtype")
    }
    self.dtype = dtype
    name = unsafe Name(bytes(message.name))
    shape = unsafe Shape(integers(message.shape, message.n_shape))
    byteCount = unsafe Int(clamping: message.byte_count)
    slices = []
    for index in 0..<(unsafe message.n_slices) {
      guard let slice = try unsafe Slice(unpacking: message.slices[index]) else { continue }
      slices.append(slice)
    }
  }
}

extension OutgoingFrame {
  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: ListReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__ListReply()
    unsafe warmstart__v1__list_reply__init(&message)
    if let checkpoint = reply.checkpoint {
      unsafe message.checkpoint = checkpoint.message(scratch)
    }
    unsafe message.n_tensors = reply.tensors.count
    unsafe message.tensors = scratch.messages(reply.tensors) { tensor, message in
      unsafe warmstart__v1__tensor__init(message)
      unsafe message.pointee.name = scratch.bytes(tensor.name.bytes)
      unsafe message.pointee.dtype = tensor.dtype.rawValue
      unsafe message.pointee.n_shape = tensor.shape.rank
      unsafe message.pointee.shape = scratch.integers(tensor.shape.lengths)
      unsafe message.pointee.byte_count = UInt64(tensor.byteCount)
      unsafe message.pointee.n_slices = tensor.slices.count
      unsafe message.pointee.slices = scratch.messages(tensor.slices) { slice, message in
        unsafe slice.fill(message, scratch)
      }
    }
    unsafe begin(&message.base)
  }
}

extension Slice {
  /// Unpacks the message `SliceExtents`; nil if it is absent.
  init?(
    unpacking pointer: UnsafeMutablePointer<Warmstart__V1__SliceExtents>?
  ) throws(MessageError) {
    guard let message = unsafe pointer?.pointee else { return nil }
    guard unsafe message.n_starts == message.n_counts else {
      throw .malformed("a slice with \(unsafe message.n_starts) starts")
    }
    unsafe self.init(
      starts: integers(message.starts, message.n_starts),
      counts: integers(message.counts, message.n_counts))
  }

  func fill(_ message: UnsafeMutablePointer<Warmstart__V1__SliceExtents>, _ scratch: Scratch) {
    unsafe warmstart__v1__slice_extents__init(message)
    unsafe message.pointee.n_starts = starts.count
    unsafe message.pointee.starts = scratch.integers(starts)
    unsafe message.pointee.n_counts = counts.count
    unsafe message.pointee.counts = scratch.integers(counts)
  }
}
