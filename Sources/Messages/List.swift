internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// A response of `List`: some of the tensors, in the order of their names.
///
/// A tensor whose slices do not fit is the first of the next response again, with more of them.
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
    package var slices: [TensorSlice]

    package init(
      name: Name, dtype: DataType, shape: Shape, byteCount: Int, slices: [TensorSlice]
    ) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
      self.byteCount = byteCount
      self.slices = slices
    }
  }

  /// In the first response, if the call opened the checkpoint.
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
    if let columns = unsafe message.tensors?.pointee {
      tensors = try unsafe ListReply.tensors(columns)
    }
  }

  private static func tensors(_ message: Warmstart__V1__Tensors) throws(MessageError) -> [Tensor] {
    let dtypes = try unsafe WarmstartMessages.dtypes(
      message.dtypes, message.n_dtypes, of: "a tensor")
    let names = try unsafe NameList(message.names, count: dtypes.count, of: "tensors")
    let ranks = unsafe column(message.ranks, message.n_ranks)
    try expect(ranks.count, dtypes.count, of: "tensors", "ranks")
    let shapes = try unsafe WarmstartMessages.shapes(
      column(message.lengths, message.n_lengths), ranks: ranks,
      of: "tensors")
    let byteCounts: [Int] = unsafe column(message.byte_counts, message.n_byte_counts)
    try expect(byteCounts.count, dtypes.count, of: "tensors", "byte counts")
    var tensors: [Tensor] = []
    tensors.reserveCapacity(dtypes.count)
    for (position, dtype) in dtypes.enumerated() {
      tensors.append(
        Tensor(
          name: names[position], dtype: dtype, shape: shapes[position],
          byteCount: byteCounts[position], slices: []))
    }
    let sliced = unsafe column(message.sliced, message.n_sliced)
    guard sliced.allSatisfy({ $0 < tensors.count }) else {
      throw .malformed("slices of no tensor")
    }
    let sliceRanks = sliced.map { ranks[Int($0)] }
    let starts = try unsafe WarmstartMessages.shapes(
      column(message.starts, message.n_starts), ranks: sliceRanks, of: "slices")
    let counts = try unsafe WarmstartMessages.shapes(
      column(message.counts, message.n_counts), ranks: sliceRanks, of: "slices")
    for (index, position) in sliced.enumerated() {
      tensors[Int(position)].slices.append(
        TensorSlice(starts: Array(starts[index].lengths), counts: Array(counts[index].lengths)))
    }
    return tensors
  }
}

extension [ListReply.Tensor] {
  /// Adds the tensors of the next response; its first tensor may continue the last one so far.
  ///
  /// Throws `malformed` if that is another one of its name.
  package mutating func join(_ next: [ListReply.Tensor]) throws(MessageError) {
    guard var last, let first = next.first, last.name == first.name else { return self += next }
    last.slices = first.slices
    guard last == first else { throw .malformed("two tensors of one name") }
    self[count - 1].slices += first.slices
    self += next.dropFirst()
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the response.
  ///
  /// A slice must have as many axes as its tensor.
  package mutating func begin(_ reply: ListReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__ListReply()
    unsafe warmstart__v1__list_reply__init(&message)
    if let checkpoint = reply.checkpoint {
      unsafe message.checkpoint = checkpoint.message(scratch)
    }
    unsafe message.tensors = reply.tensors.message(scratch)
    unsafe begin(&message.base)
  }
}

extension [ListReply.Tensor] {
  fileprivate func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Tensors> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Tensors.self)
    unsafe warmstart__v1__tensors__init(message)
    let dtypes = unsafe scratch.make(count, of: UInt32.self)
    let ranks = unsafe scratch.make(count, of: Int32.self)
    let byteCounts = unsafe scratch.make(count, of: UInt64.self)
    var lengths: [Int] = []
    var sliced: [UInt32] = []
    var starts: [Int] = []
    var counts: [Int] = []
    for position in indices {
      let tensor = self[position]
      unsafe dtypes[position] = UInt32(tensor.dtype.rawValue)
      unsafe ranks[position] = Int32(tensor.shape.rank)
      unsafe byteCounts[position] = UInt64(tensor.byteCount)
      lengths.append(contentsOf: tensor.shape.lengths)
      for slice in tensor.slices {
        sliced.append(UInt32(position))
        starts += slice.starts
        counts += slice.counts
      }
    }
    unsafe message.pointee.names = scratch.names(count) { self[$0].name }
    unsafe message.pointee.n_dtypes = count
    unsafe message.pointee.dtypes = dtypes
    unsafe message.pointee.n_ranks = count
    unsafe message.pointee.ranks = ranks
    unsafe message.pointee.n_lengths = lengths.count
    unsafe message.pointee.lengths = scratch.column(lengths)
    unsafe message.pointee.n_byte_counts = count
    unsafe message.pointee.byte_counts = byteCounts
    unsafe message.pointee.n_sliced = sliced.count
    unsafe message.pointee.sliced = scratch.column(sliced)
    unsafe message.pointee.n_starts = starts.count
    unsafe message.pointee.starts = scratch.column(starts)
    unsafe message.pointee.n_counts = counts.count
    unsafe message.pointee.counts = scratch.column(counts)
    return unsafe message
  }
}
