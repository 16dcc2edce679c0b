import WarmstartKernel
import WarmstartMessages
public import WarmstartTensorModel

/// The bytes of one variable, in memory that all jobs of the machine share, to be read.
///
/// A tensor is a small value: the answer of the daemon, which all tensors of a call share, and a
/// position in it. Each property is read from the answer when it is asked for. The memory stays as
/// long as any tensor of the answer, whatever happens to the client or the daemon.
///
/// `writable()` makes a copy to be written.
public struct Tensor: Sendable {
  typealias Place = Handles.Place

  let answer: Answer
  /// The position among the handles.
  private let position: Int

  init(_ answer: Answer, _ position: Int) {
    self.answer = answer
    self.position = position
  }

  /// The variable, as it was declared.
  public var variable: Variable { answer.variables[answer.handles.variable(position)] }

  /// The tensor that the bytes come from.
  public var tensor: Name {
    let name = answer.handles.tensor(position)
    return name.bytes.isEmpty ? variable.name : name
  }

  /// The element type.
  public var dtype: DataType { place.dtype }

  /// The shape of the bytes, which is the slice's if a slice was cut out.
  public var shape: Shape { answer.handles.shape(position) }

  /// Bytes from one index to the next on each axis; none for a dense array in C order.
  public var strides: [Int] { answer.handles.strides(position) }

  /// The number of bytes of all elements.
  public var byteCount: Int { place.byteCount }

  /// What was cut out of the tensor; nil for all of it.
  public var slice: TensorSlice? {
    answer.handles.starts(position).map { TensorSlice(starts: $0, counts: Array(shape.lengths)) }
  }

  /// The memory that the bytes are in.
  public var region: Region { answer.regions[place.region] }

  /// Where the first element is in the region.
  public var offset: Int { place.offset }

  /// The largest power of two, at most 4096, that divides the first element's address.
  public var alignment: Int {
    // Regions begin at a page. A number and its negative have the lowest bit that is set in common.
    let offset = place.offset
    return offset == 0 ? Alignment.maximum : min(Alignment.maximum, offset & -offset)
  }

  /// The bytes in C order, valid as long as the tensor; traps if the tensor has strides, or is only
  /// planned.
  ///
  /// A string tensor's are 64-bit offsets, one more than elements, and then all strings' bytes.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      let place = place
      precondition(!place.isStrided, "a strided tensor has no contiguous bytes")
      precondition(!answer.isPlan, "a planned tensor has no bytes")
      return answer.bytes(place, keptBy: self)
    }
  }

  var place: Place { answer.handles.place(position) }
}

extension Handles.Place {
  /// Where the bytes are in their region.
  var range: Range<Int> { offset..<offset + byteCount }
}
