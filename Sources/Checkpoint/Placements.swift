import WarmstartKernel
package import WarmstartTensorModel

/// Where a call's assignments are served from, by the positions of the assignments.
package struct Placements: Sendable {
  /// For each assignment, the position of its file among the members; negative for a piece.
  package private(set) var members: [Int32] = []
  /// For each assignment, the offset of its bytes in the file; 0 for a piece.
  package private(set) var offsets: [Int] = []
  /// For each assignment, the number of its bytes in the file; 0 for a piece.
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

extension Checkpoint {
  /// Decides where each assignment is served from.
  ///
  /// The result is valid only if `refuse` was not called.
  ///
  /// - Parameters:
  ///   - variables: The variables, some of which may see their tensors otherwise than they are
  ///     stored; nil if all see them as they are.
  ///   - checkIn: Throws if no client waits for the result any more; called from time to time,
  ///     since many tensors may have many slices.
  ///   - refuse: Receives what is wrong with one assignment.
  /// - Throws: What is wrong with a whole data file.
  package func place(
    _ assignments: [Resolution.Assignment], of variables: VariableList? = nil,
    _ options: PlacementOptions, in files: FileSet, checkIn: () throws(Problem) -> Void,
    refuse: (Problem) -> Void
  ) throws(Problem) -> Placements {
    var placements = Placements(count: assignments.count)
    // Most tensors follow one another in one file, whole and ready to be mapped.
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
      var (gather, view): (Gather?, View) = (nil, View())
      if let variables {
        let variable = assignments[index].variable
        if !variables.gathers.isEmpty { gather = variables.gathers[variable] }
        view = variables.view(variable, of: catalog.dtype(tensor))
      }
      if member >= 0, assignments[index].slice == nil, gather == nil, view.isPlain,
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
          of: tensor, assignments[index].slice, gather: gather, view: view, options, in: files)
        var member: Int32 = -1
        if case .file(let run, _, _, _) = placement,
          let found = files.position(ofShard: stored[run].shard, of: shardCount)
        {
          member = Int32(found)
        }
        placements.append(placement, of: tensor, in: member)
      } catch {
        // A fault of a whole file is reported once.
        guard error.tensor != nil else { throw error }
        refuse(error)
      }
    }
    return placements
  }

  /// How many assignments are placed between two calls of `checkIn`; chosen, not tuned.
  private static let assignmentsBetweenCheckIns = 64

  /// Whether a file serves a whole tensor as it is: a fast path for what `placement` decides for
  /// most.
  private func isReady(
    _ tensor: Int, _ position: Int, _ options: PlacementOptions, fileByteCount: Int
  ) -> Bool {
    guard records == nil, let width = catalog.dtype(tensor).byteCount, !options.sealed,
      !isBigEndian(tensor), !catalog.isSliced(tensor), steps(of: tensor) == nil
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
}
