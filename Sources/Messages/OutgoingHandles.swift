import WarmstartProtobuf
package import WarmstartTensorModel

/// Handles that are to be sent, of tensors of one catalog.
package struct OutgoingHandles: Sendable {
  private let catalog: Catalog
  /// Whether they say only what would be assigned, without regions and offsets.
  private let isPlan: Bool
  private var variables: [UInt32] = []
  private var tensors: [Int32] = []
  /// Whether a tensor is not called as its variable.
  private var isNamed: [Bool] = []
  private var regions: [UInt32] = []
  private var offsets: [Int] = []
  private var byteCounts: [Int] = []
  private var strided: [UInt32] = []
  private var strides: [Int] = []
  private var sliced: [UInt32] = []
  private var slices: [TensorSlice] = []
  /// The positions of those that are no slices, and have another shape than the tensor.
  private var reshaped: [(position: Int, lengths: [Int])] = []
  /// The types of those that are cast, by position.
  private var casts: [Int: DataType] = [:]
  private var axisCount = 0
  private var textByteCount = 0

  package init(of catalog: Catalog, isPlan: Bool = false) {
    self.catalog = catalog
    self.isPlan = isPlan
  }

  /// The number of handles.
  package var count: Int { variables.count }

  /// The bytes that they take on the wire, about.
  package var wireByteCount: Int {
    textByteCount + 8 * (axisCount + strides.count) + 40 * count + 16 * sliced.count
  }

  /// Adds a handle of a tensor, or of a slice, a gather or a view of it; a tensor with its
  /// variable's name is not named.
  ///
  /// The strides, if there are any, are in the order of the variable's axes.
  package mutating func append(
    variable: Int, _ tensor: Int, isNamed: Bool, _ slice: TensorSlice?, gather: Gather? = nil,
    _ view: View = View(), region: Int, offset: Int, byteCount: Int, strides: [Int] = []
  ) {
    if !strides.isEmpty {
      strided.append(UInt32(count))
      self.strides += strides
    }
    if let slice {
      sliced.append(UInt32(count))
      slices.append(view.variableOrder(slice))
    } else if let gather {
      reshaped.append((count, gather.lengths(from: catalog.lengths(tensor))))
    } else if !view.axes.isEmpty {
      reshaped.append((count, view.variableOrder(catalog.lengths(tensor))))
    }
    if let dtype = view.dtype { casts[count] = dtype }
    axisCount += catalog.lengths(tensor).count
    if isNamed { textByteCount += catalog.nameBytes(tensor).count }
    self.isNamed.append(isNamed)
    variables.append(UInt32(variable))
    tensors.append(Int32(tensor))
    regions.append(UInt32(region))
    offsets.append(offset)
    byteCounts.append(byteCount)
  }

  /// Forgets all, but keeps the memory.
  package mutating func removeAll() {
    variables.removeAll(keepingCapacity: true)
    tensors.removeAll(keepingCapacity: true)
    isNamed.removeAll(keepingCapacity: true)
    regions.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    byteCounts.removeAll(keepingCapacity: true)
    strided.removeAll(keepingCapacity: true)
    strides.removeAll(keepingCapacity: true)
    sliced.removeAll(keepingCapacity: true)
    slices.removeAll(keepingCapacity: true)
    reshaped = []
    casts = [:]
    axisCount = 0
    textByteCount = 0
  }

  /// Puts the fields of the message in front.
  func prepend(to frame: inout FieldWriter) {
    let starts = slices.flatMap(\.starts)
    let lengths = lengths()
    frame.prepend(field: 12, column: starts.span)
    frame.prepend(field: 11, column: sliced.span)
    frame.prepend(field: 10, column: strides.span)
    frame.prepend(field: 9, column: strided.span)
    frame.prepend(field: 8, column: byteCounts.span)
    if !isPlan {
      frame.prepend(field: 7, column: offsets.span)
      frame.prepend(field: 6, column: regions.span)
    }
    frame.prepend(field: 5, column: lengths.span)
    frame.prepend(field: 4, count: count) { Int32(catalog.lengths(Int(tensors[$0])).count) }
    frame.prepend(field: 3, count: count) {
      (casts[$0] ?? catalog.dtype(Int(tensors[$0]))).rawValue
    }
    frame.prepend(field: 2, names: count) { position, body in
      body(isNamed[position] ? catalog.nameBytes(Int(tensors[position])) : Span())
    }
    frame.prepend(field: 1, column: variables.span)
  }

  private func lengths() -> [Int] {
    var all: [Int] = []
    all.reserveCapacity(axisCount)
    var (slice, other) = (0, 0)
    for position in tensors.indices {
      if slice < sliced.count, sliced[slice] == position {
        all += slices[slice].counts
        slice += 1
      } else if other < reshaped.count, reshaped[other].position == position {
        all += reshaped[other].lengths
        other += 1
      } else {
        let lengths = catalog.lengths(Int(tensors[position]))
        for axis in lengths.indices { all.append(lengths[axis]) }
      }
    }
    return all
  }
}
