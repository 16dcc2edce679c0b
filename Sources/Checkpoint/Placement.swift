import WarmstartKernel
package import WarmstartTensorModel

/// What an arena holds for one tensor, slice and alignment: the unit that clients share.
package struct Piece: Sendable, Hashable {
  /// The start of every piece in its arena: what TensorFlow, JAX and DLPack need.
  package static let alignment = 64

  /// The position in the catalog.
  package let tensor: Int
  /// What is cut out; nil for the whole tensor.
  package let slice: TensorSlice?
  /// The rows or columns that are chosen; then nothing is cut out.
  package let gather: Gather?
  /// A power of two, at least `Piece.alignment`.
  package let alignment: Int

  /// The bytes of the lists of indices, which are kept as long as the piece.
  package var listByteCount: Int { gather.map { 8 * $0.indexCount + 100 * $0.axes.count } ?? 0 }
}

/// Where the bytes that a variable needs are, or are to be made.
package enum Placement: Sendable, Hashable {
  /// In a data file, as they are; `strides` is empty if they are contiguous.
  case file(stored: Int, offset: Int, byteCount: Int, strides: [Int])
  /// In an arena.
  case piece(Piece)
}

/// Where what a call assigns is served from, by the assignments' positions.
package struct Placements: Sendable {
  /// For each assignment the position of its file among the members; negative for a piece.
  package private(set) var members: [Int32] = []
  /// For each assignment where its bytes begin in the file; 0 for a piece.
  package private(set) var offsets: [Int] = []
  /// For each assignment its bytes in the file; 0 for a piece.
  package private(set) var byteCounts: [Int] = []
  /// The strides of those assignments that are not contiguous.
  package private(set) var strides: [Int: [Int]] = [:]
  /// The pieces, in the order of their assignments.
  package private(set) var pieces: [Piece] = []
  /// The stored runs that files serve, each with its tensor, in the order of their assignments.
  package private(set) var runs: [(position: Int, tensor: Int)] = []

  fileprivate init(count: Int) {
    members.reserveCapacity(count)
    offsets.reserveCapacity(count)
    byteCounts.reserveCapacity(count)
    runs.reserveCapacity(count)
  }

  fileprivate mutating func append(_ placement: Placement, of tensor: Int, in member: Int32) {
    switch placement {
    case .file(let stored, let offset, let byteCount, let strides):
      if !strides.isEmpty { self.strides[members.count] = strides }
      append(stored, of: tensor, in: member, at: offset, byteCount)
    case .piece(let piece):
      members.append(-1)
      offsets.append(0)
      byteCounts.append(0)
      pieces.append(piece)
    }
  }

  @inline(__always)
  fileprivate mutating func append(
    _ stored: Int, of tensor: Int, in member: Int32, at offset: Int, _ byteCount: Int
  ) {
    members.append(member)
    offsets.append(offset)
    byteCounts.append(byteCount)
    runs.append((stored, tensor))
  }
}

/// What a client asks of the bytes.
package struct PlacementOptions: Sendable, Hashable {
  /// The largest alignment that can be had: a page.
  package static let maximumAlignment = 4096

  /// A power of two that divides the address; 0 for the element's size.
  package var alignment: Int
  /// Only bytes that can never change.
  package var sealed: Bool
  /// Bytes that are not contiguous will do.
  package var strides: Bool

  package init(alignment: Int = 0, sealed: Bool = false, strides: Bool = false) {
    self.alignment = alignment
    self.sealed = sealed
    self.strides = strides
  }
}

extension Checkpoint {
  /// Decides where each assignment is served from; hands what is wrong with one to `refuse`.
  ///
  /// `gathers` are the rows or columns that some variables choose, by the variables' positions.
  /// The result is of use only if nothing was refused. Throws what is wrong with a whole data file,
  /// and what `checkIn` throws, which is asked whether anybody still waits: of many slices of many
  /// tensors each is looked at.
  package func place(
    _ assignments: [Resolution.Assignment], gathers: [Int: Gather] = [:],
    _ options: PlacementOptions, in files: FileSet, checkIn: () throws(Problem) -> Void,
    refuse: (Problem) -> Void
  ) throws(Problem) -> Placements {
    var placements = Placements(count: assignments.count)
    // Most tensors follow one another in one file, stored whole and ready to be mapped.
    var (shard, member): (Int32, Int32) = (StoredBytes.missing, -1)
    var fileByteCount = 0
    for index in assignments.indices {
      let tensor = assignments[index].tensor
      let position = storedRange(tensor).lowerBound
      if position < stored.count, stored[position].shard != shard {
        shard = stored[position].shard
        let found = files.position(ofShard: shard, of: shardCount)
        member = Int32(found ?? -1)
        fileByteCount = found.map { files.members[$0].status.size } ?? 0
      }
      let gather = gathers.isEmpty ? nil : gathers[assignments[index].variable]
      if member >= 0, assignments[index].slice == nil, gather == nil,
        isReady(tensor, position, options, fileByteCount: fileByteCount)
      {
        placements.append(
          position, of: tensor, in: member, at: stored[position].offset,
          stored[position].byteCount)
        continue
      }
      if index % Checkpoint.assignmentsBetweenCheckIns == 0 { try checkIn() }
      do {
        let placement = try placement(
          of: tensor, assignments[index].slice, gather: gather, options, in: files)
        var member: Int32 = -1
        if case .file(let run, _, _, _) = placement,
          let found = files.position(ofShard: stored[run].shard, of: shardCount)
        {
          member = Int32(found)
        }
        placements.append(placement, of: tensor, in: member)
      } catch {
        // What is wrong with a whole file is said once.
        guard error.tensor != nil else { throw error }
        refuse(error)
      }
    }
    return placements
  }

  /// Chosen, not tuned.
  private static let assignmentsBetweenCheckIns = 64

  /// Whether all of a tensor lies in a file as it is wanted: what `placement` finds of most tensors.
  private func isReady(
    _ tensor: Int, _ position: Int, _ options: PlacementOptions, fileByteCount: Int
  ) -> Bool {
    guard records == nil, let width = catalog.dtype(tensor).byteCount, !options.sealed,
      !isBigEndian, !catalog.isSliced(tensor)
    else { return false }
    let run = stored[position]
    guard run.offset >= 0, run.byteCount > 0, run.offset <= fileByteCount,
      run.byteCount <= fileByteCount - run.offset,
      run.offset & (max(options.alignment, width) - 1) == 0
    else { return false }
    var byteCount = width
    let lengths = catalog.lengths(tensor)
    for axis in lengths.indices {
      let (product, overflow) = byteCount.multipliedReportingOverflow(by: lengths[axis])
      guard !overflow else { return false }
      byteCount = product
    }
    return byteCount == run.byteCount
  }

  /// Decides where a tensor, a slice that fits it, or rows or columns that it has are served from;
  /// reads nothing.
  ///
  /// File regions serve bytes that lie ready: in this machine's order, in one stored run, aligned as
  /// asked, and contiguous or described by strides. Everything else is a piece of an arena. Throws if
  /// the files cannot hold what the index says.
  package func placement(
    of tensor: Int, _ slice: TensorSlice?, gather: Gather? = nil, _ options: PlacementOptions,
    in files: FileSet
  ) throws(Problem) -> Placement {
    let dtype = catalog.dtype(tensor)
    guard dtype != .variant else {
      throw problem(
        tensor, .unsupported, "has dtype variant in \(files.index), which cannot be shared")
    }
    guard records == nil || SavedRecord.canHold(dtype) else {
      throw problem(
        tensor, .unsupported,
        "has dtype \(dtype.name) in \(files.index), which no V1 table can hold")
    }
    let stored = storedRange(tensor)
    let piece = Piece(
      tensor: tensor, slice: slice, gather: gather,
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
    guard records == nil, let width = dtype.byteCount, !options.sealed,
      !isBigEndian || dtype.swappedByteCount == 1,
      let (run, offset, strides) = storedPlace(of: tensor, slice, width: width),
      strides.isEmpty || options.strides
    else { return .piece(piece) }
    // No bytes lie nowhere: an empty tensor's offset may be any number, and was not checked.
    let bytes = self.stored[run]
    let place = bytes.byteCount == 0 ? 0 : bytes.offset + offset
    guard place & (max(options.alignment, width) - 1) == 0 else { return .piece(piece) }
    let byteCount = slice.map { $0.counts.reduce(width, *) } ?? bytes.byteCount
    return .file(stored: run, offset: place, byteCount: byteCount, strides: strides)
  }

  /// The shape of a tensor, or of a slice of it.
  package func shape(of tensor: Int, _ slice: TensorSlice?) -> Shape {
    slice?.shape ?? catalog.shape(tensor)
  }

  /// The shape of a piece.
  package func shape(of piece: Piece) -> Shape {
    guard let gather = piece.gather else { return shape(of: piece.tensor, piece.slice) }
    return Shape(gather.lengths(from: catalog.lengths(piece.tensor)))
  }

  /// The bytes of a piece; nil for strings, whose lengths have to be read, and for more than 2^63.
  package func byteCount(of piece: Piece) -> Int? {
    catalog.dtype(piece.tensor).byteCount.flatMap { shape(of: piece).byteCount(ofWidth: $0) }
  }

  /// The stored runs that a piece takes bytes from, by position in `stored`.
  package func runs(of piece: Piece) -> [Int] {
    guard let gather = piece.gather else { return runs(of: piece.tensor, piece.slice) }
    return gather.box(of: catalog.lengths(piece.tensor)).map { runs(of: piece.tensor, $0) } ?? []
  }

  /// The stored runs that a tensor or a slice of it takes bytes from, by position in `stored`.
  package func runs(of tensor: Int, _ slice: TensorSlice?) -> [Int] {
    let range = storedRange(tensor)
    guard let slice, range.count > 1 else { return Array(range) }
    let slices = catalog.slices(tensor)
    guard let index = sliceIndexes[tensor] else {
      return zip(range, slices).filter { slice.intersects($1) }.map { $0.0 }
    }
    return index.candidates(for: slice)
      .filter { slice.intersects(slices[$0]) }
      .map { range.lowerBound + $0 }
      .sorted()
  }

  /// The box that a stored run of a tensor covers.
  func box(ofRun run: Int, of tensor: Int) -> TensorSlice {
    let slices = catalog.slices(tensor)
    guard !slices.isEmpty else { return TensorSlice(whole: catalog.shape(tensor)) }
    return slices[run - storedRange(tensor).lowerBound]
  }

  /// Finds a stored run that has all the bytes, the first one's offset in it, and strides if needed.
  private func storedPlace(
    of tensor: Int, _ slice: TensorSlice?, width: Int
  ) -> (run: Int, offset: Int, strides: [Int])? {
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

  /// Whether all axes before the last one that is cut have length 1.
  private static func isContiguous(_ slice: TensorSlice, in box: TensorSlice) -> Bool {
    guard let cut = slice.counts.indices.last(where: { slice.counts[$0] != box.counts[$0] })
    else { return true }
    return slice.counts[..<cut].allSatisfy { $0 == 1 }
  }

  /// Throws unless the files have all bytes of a stored run, and as many as its shape needs.
  func expectReadable(
    _ index: Int, of tensor: Int, in files: FileSet
  ) throws(Problem) {
    let run = stored[index]
    guard run.shard != StoredBytes.missing else {
      guard records == nil else {
        throw problem(
          tensor, .corrupt,
          "lists slice \(box(ofRun: index, of: tensor).inMessage), whose record is in no table")
      }
      throw problem(
        tensor, .tensorNotFound,
        "lists slice \(box(ofRun: index, of: tensor).inMessage), whose entry is not in \(files.index)"
      )
    }
    guard let position = files.position(ofShard: run.shard, of: shardCount) else {
      throw problem(
        tensor, .checkpointNotFound,
        "is in \(files.name(ofShard: run.shard, of: shardCount)), which is missing")
    }
    // A record is looked for in its block, wherever that is.
    guard records == nil else { return }
    let member = files.members[position]
    if let width = catalog.dtype(tensor).byteCount {
      let shape =
        catalog.slices(tensor).isEmpty
        ? catalog.shape(tensor) : box(ofRun: index, of: tensor).shape
      let expected = shape.byteCount(ofWidth: width)
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

  func problem(_ tensor: Int, _ reason: Reason, _ message: String) -> Problem {
    let name = catalog.name(tensor)
    return Problem(reason, "tensor \(name) \(message)", tensor: name)
  }
}
