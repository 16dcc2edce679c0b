import WarmstartKernel
package import WarmstartTensorModel

/// Where a variable's bytes are, or where they will be made.
package enum Placement: Sendable, Hashable {
  /// In a data file, as stored; `strides` is empty if the bytes are contiguous.
  case file(stored: Int, offset: Int, byteCount: Int, strides: [Int])
  /// In a piece of an arena.
  case piece(Piece)
}

/// What a client requires of the bytes.
package struct PlacementOptions: Sendable, Hashable {
  /// A power of two that divides the address; 0 for the length of an element.
  package var alignment: Int
  /// Whether the bytes must be unable to change.
  package var sealed: Bool
  /// Whether the bytes need not be contiguous.
  package var strides: Bool

  package init(alignment: Int = 0, sealed: Bool = false, strides: Bool = false) {
    self.alignment = alignment
    self.sealed = sealed
    self.strides = strides
  }
}

extension Checkpoint {
  /// Decides where a tensor is served from, or a slice or gather that fits it, as a variable sees
  /// it; reads nothing.
  ///
  /// A data file serves bytes that are ready in it: of the wanted type, in this machine's byte
  /// order, in one stored run, aligned as required, and contiguous or described by strides. An
  /// arena serves all others.
  ///
  /// - Throws: What is wrong if the files cannot hold what the index says.
  package func placement(
    of tensor: Int, _ slice: TensorSlice?, gather: Gather? = nil, view: View = View(),
    _ options: PlacementOptions, in files: FileSet
  ) throws(Problem) -> Placement {
    if let problem = catalog.problem(ofListed: tensor) { throw problem }
    let dtype = catalog.dtype(tensor)
    guard dtype != .variant else {
      throw problem(
        tensor, .unsupported, "has dtype variant in \(files.index), which cannot be shared")
    }
    guard dtype != .packed else {
      throw problem(
        tensor, .unsupported,
        "has elements in \(files.index) that are packed without regard to bytes, which no array "
          + "library reads")
    }
    guard records == nil || SavedRecord.canHold(dtype) else {
      throw problem(
        tensor, .unsupported,
        "has dtype \(dtype.name) in \(files.index), which no V1 table can hold")
    }
    if gather != nil, steps(of: tensor) != nil {
      throw problem(
        tensor, .unsupported,
        "is stored as a view with steps in \(files.index), from which no rows are gathered: "
          + "save it contiguous")
    }
    let stored = storedRange(tensor)
    let piece = Piece(
      tensor: tensor, slice: slice, gather: gather, view: view,
      alignment: max(Piece.alignment, options.alignment))
    if let gather {
      for run in runs(of: piece) { try expectReadable(run, of: tensor, in: files) }
      guard byteCount(of: piece) != nil else {
        throw problem(tensor, .budget, "\(gather.inMessage) has more than 2^63 bytes")
      }
      return .piece(piece)
    }
    if slice == nil || stored.count == 1 {
      for run in stored { try expectReadable(run, of: tensor, in: files) }
    } else {
      for run in runs(of: tensor, slice) { try expectReadable(run, of: tensor, in: files) }
    }
    guard records == nil, let width = dtype.byteCount, !options.sealed, view.dtype == nil,
      !isBigEndian(tensor) || dtype.swappedByteCount == 1,
      let (run, offset, steps) = storedPlace(of: tensor, slice, width: width)
    else { return .piece(piece) }
    let strides = strides(of: shape(of: tensor, slice), steps, view, width: width)
    guard strides.isEmpty || options.strides else { return .piece(piece) }
    // An empty tensor may have any offset, which was not checked.
    let bytes = self.stored[run]
    let place = bytes.byteCount == 0 ? 0 : bytes.offset + offset
    guard place & (max(options.alignment, width) - 1) == 0 else { return .piece(piece) }
    let byteCount =
      strides.isEmpty && slice == nil && view.isPlain
      ? bytes.byteCount : shape(of: tensor, slice).lengths.reduce(width, *)
    return .file(stored: run, offset: place, byteCount: byteCount, strides: strides)
  }

  /// The strides of an array as a view shows it; empty if it is dense.
  ///
  /// - Parameters:
  ///   - shape: The lengths of the array's axes, in the tensor's order.
  ///   - steps: The bytes from one index to the next on each of them; empty if the array is dense.
  private func strides(of shape: Shape, _ steps: [Int], _ view: View, width: Int) -> [Int] {
    guard !view.axes.isEmpty else { return steps }
    let lengths = Array(shape.lengths)
    let strides = view.variableOrder(steps.isEmpty ? Runs.steps(lengths, width: width) : steps)
    let dense = Runs.steps(view.variableOrder(lengths), width: width)
    // An axis of one index needs no steps.
    let isDense = zip(view.axes.indices, view.axes).allSatisfy { position, axis in
      lengths[axis] == 1 || strides[position] == dense[position]
    }
    return isDense || lengths.contains(0) ? [] : strides
  }

  /// Finds a stored run that contains all bytes, the offset of the first one in it, and the bytes
  /// from one index to the next on each axis unless the bytes are contiguous.
  private func storedPlace(
    of tensor: Int, _ slice: TensorSlice?, width: Int
  ) -> (run: Int, offset: Int, steps: [Int])? {
    if let steps = steps(of: tensor) {
      let starts = slice?.starts ?? []
      return (
        storedRange(tensor).lowerBound, zip(starts, steps).reduce(0) { $0 + $1.0 * $1.1 }, steps
      )
    }
    if slice == nil, !catalog.isSliced(tensor) { return (storedRange(tensor).lowerBound, 0, []) }
    let wanted = slice ?? TensorSlice(whole: catalog.shape(tensor))
    for run in runs(of: tensor, slice) {
      let box = box(ofRun: run, of: tensor)
      guard wanted.intersects(box), wanted.intersection(box) == wanted else { continue }
      let steps = Runs.steps(box.counts, width: width)
      let offset = wanted.starts.indices.reduce(0) { offset, axis in
        offset + (wanted.starts[axis] - box.starts[axis]) * steps[axis]
      }
      let isContiguous = Checkpoint.isContiguous(wanted, in: box)
      return (run, offset, isContiguous ? [] : steps)
    }
    return nil
  }

  /// Whether a slice of a box is contiguous: all axes before the last one that is cut have length
  /// 1.
  private static func isContiguous(_ slice: TensorSlice, in box: TensorSlice) -> Bool {
    guard let cut = slice.counts.indices.last(where: { slice.counts[$0] != box.counts[$0] })
    else { return true }
    return slice.counts[..<cut].allSatisfy { $0 == 1 }
  }

  /// Throws unless the files contain a stored run, and the run is as long as its shape requires.
  func expectReadable(
    _ index: Int, of tensor: Int, in files: FileSet
  ) throws(Problem) {
    let run = stored[index]
    guard run.shard != StoredBytes.missing else {
      let slice = box(ofRun: index, of: tensor).inMessage
      guard records == nil else {
        throw problem(tensor, .corrupt, "lists slice \(slice), whose record is in no table")
      }
      throw problem(
        tensor, .tensorNotFound, "lists slice \(slice), whose entry is not in \(files.index)")
    }
    let member = try member(ofShard: run.shard, of: tensor, in: files)
    // A V1 record is looked up in its block, wherever the block is.
    guard records == nil else { return }
    if let width = catalog.dtype(tensor).byteCount {
      let shape =
        catalog.slices(tensor).isEmpty
        ? catalog.shape(tensor) : box(ofRun: index, of: tensor).shape
      let expected =
        steps(of: tensor).map {
          Checkpoint.spannedByteCount(Array(shape.lengths), $0, width: width)
        } ?? shape.byteCount(ofWidth: width)
      guard run.byteCount == expected else {
        throw problem(
          tensor, .corrupt,
          "has an invalid size in \(files.index): stored \(run.byteCount), "
            + "expected \(expected.map(String.init) ?? "less than 2^63")")
      }
    }
    guard run.byteCount > 0 else { return }
    guard run.offset >= 0, run.offset <= member.status.size,
      run.byteCount <= member.status.size - run.offset
    else {
      throw ForeignFile.pointer(member)
        ?? problem(
          tensor, .truncated,
          "needs \(run.byteCount) bytes at \(run.offset) of \(member), "
            + "which has \(member.status.size)")
    }
  }

  /// The file of a shard, or a V1 table, that a tensor needs; throws if the client did not pass it.
  func member(
    ofShard shard: Int32, of tensor: Int, in files: FileSet
  ) throws(Problem) -> FileSet.Member {
    guard let position = files.position(ofShard: shard, of: shardCount) else {
      throw problem(
        tensor, .checkpointNotFound,
        "is in \(files.name(ofShard: shard, of: shardCount)), which is missing")
    }
    return files.members[position]
  }

  /// Describes what is wrong with a tensor; the message continues after its name.
  func problem(_ tensor: Int, _ reason: Reason, _ message: String) -> Problem {
    let name = catalog.name(tensor)
    return Problem(reason, "tensor \(name) \(message)", tensor: name)
  }
}
