import WarmstartKernel
import WarmstartTensorModel

/// Fills pieces of strings: plans them from the stored lengths, then copies the bytes.
struct StringFiller {
  let checkpoint: Checkpoint
  /// The plans for pieces, made when their size was asked for.
  private var plans: [Piece: StringPlan] = [:]
  /// The stored strings that the plans refer to, by run, so that each run is read once.
  private var strings: [Int: StringRun] = [:]

  init(_ checkpoint: Checkpoint) {
    self.checkpoint = checkpoint
  }

  /// The bytes that a piece takes in an arena; reads and verifies the lengths of its strings.
  mutating func byteCount(
    of piece: Piece, _ reader: inout RunReader
  ) throws(Problem) -> Int {
    let plan = try plan(piece, &reader)
    guard let byteCount = plan.byteCount else {
      throw checkpoint.problem(piece.tensor, .corrupt, "has more than 2^63 bytes of strings")
    }
    plans[piece] = plan
    return byteCount
  }

  /// Fills the targets of strings; returns the runs that were read for them, each with its tensor.
  mutating func fill(
    _ targets: [Loading.Target], _ arena: inout Arena, _ reader: inout RunReader
  ) throws(Problem) -> [(run: Int, tensor: Int)] {
    var work: [(run: Int, tensor: Int)] = []
    var copies: [Int: [StringCopies]] = [:]
    for target in targets where checkpoint.catalog.dtype(target.piece.tensor) == .string {
      let planned = plans.removeValue(forKey: target.piece)
      let plan = if let planned { planned } else { try plan(target.piece, &reader) }
      try plan.writeOffsets(to: &arena, at: target.offset)
      for part in plan.parts {
        if copies[part.run] == nil { work.append((part.run, target.piece.tensor)) }
        copies[part.run, default: []].append(
          StringCopies(part.copies, to: target.offset + plan.offsets.count * 8))
      }
    }
    let order = checkpoint.inOrderOfDisk(work)
    for (run, tensor) in order {
      var copies = copies[run] ?? []
      let read = try storedStrings(run, of: tensor, &reader)
      try reader.stream(read, at: run, of: tensor) { chunk, offset throws(Problem) in
        for index in copies.indices { try copies[index].copy(chunk, at: offset, to: &arena) }
      }
      strings[run] = nil
    }
    return order
  }

  /// Forgets the strings of a run.
  mutating func forget(_ run: Int) {
    strings[run] = nil
  }

  /// Reads the lengths of the pieces' strings, in the order of the files.
  mutating func readLengths(of pieces: [Piece], _ reader: inout RunReader) throws(Problem) {
    var work: [(run: Int, tensor: Int)] = []
    for piece in pieces where checkpoint.catalog.dtype(piece.tensor) == .string {
      work += checkpoint.runs(of: piece.tensor, piece.slice).map { ($0, piece.tensor) }
    }
    for (run, tensor) in checkpoint.inOrderOfDisk(work) {
      _ = try storedStrings(run, of: tensor, &reader)
    }
  }

  /// The strings of one stored run; their lengths are read at the first call.
  mutating func storedStrings(
    _ run: Int, of tensor: Int, _ reader: inout RunReader
  ) throws(Problem) -> StringRun {
    if let known = strings[run] { return known }
    let read = try reader.readLengths(run, of: tensor)
    strings[run] = read
    return read
  }

  /// Plans how to fill a piece of strings; reads their lengths if they are not known.
  mutating func plan(_ piece: Piece, _ reader: inout RunReader) throws(Problem) -> StringPlan {
    let tensor = piece.tensor
    let positions = checkpoint.runs(of: tensor, piece.slice)
    if piece.slice == nil, positions.count == 1 {
      let run = try storedStrings(positions[0], of: tensor, &reader)
      let all = StringPlan.Copy(source: 0..<run.byteCount, target: 0)
      return StringPlan(
        offsets: run.offsets, parts: [StringPlan.Part(run: positions[0], copies: [all])])
    }
    let wanted = piece.slice ?? TensorSlice(whole: checkpoint.catalog.shape(tensor))
    var runs: [(position: Int, strings: StringRun, elements: Runs)] = []
    // Counted from the runs: a shape may claim any number of elements, but their bytes are in the
    // file.
    var count = 0
    for position in positions {
      let box = checkpoint.box(ofRun: position, of: tensor)
      let strings = try storedStrings(position, of: tensor, &reader)
      guard let elements = Runs(from: box, to: wanted, at: 0, width: 1) else { continue }
      var cut = elements
      while let run = cut.next() { count += run.count }
      runs.append((position, strings, elements))
    }
    guard wanted.shape.elementCount == count else {
      throw checkpoint.problem(tensor, .slicesIncomplete, "does not have sufficient slices")
    }
    let offsets = try offsets(of: tensor, count: count, runs.map { ($0.strings, $0.elements) })
    let parts = runs.map { position, strings, elements in
      var copies: [StringPlan.Copy] = []
      var elements = elements
      while let run = elements.next() {
        let source = strings.offsets[run.source]..<strings.offsets[run.source + run.count]
        copies.append(StringPlan.Copy(source: source, target: offsets[run.target]))
      }
      return StringPlan.Part(run: position, copies: copies)
    }
    return StringPlan(offsets: offsets, parts: parts)
  }

  /// The offset of each wanted element in the piece, from the lengths in the runs.
  private func offsets(
    of tensor: Int, count: Int, _ runs: [(strings: StringRun, elements: Runs)]
  ) throws(Problem) -> [Int] {
    var offsets = [Int](repeating: -1, count: count + 1)
    offsets[0] = 0
    for (strings, elements) in runs {
      var elements = elements
      while let run = elements.next() {
        for index in 0..<run.count {
          let element = run.source + index
          offsets[run.target + index + 1] = strings.offsets[element + 1] - strings.offsets[element]
        }
      }
    }
    for index in 0..<count {
      guard offsets[index + 1] >= 0 else {
        throw checkpoint.problem(tensor, .slicesIncomplete, "does not have sufficient slices")
      }
      let (sum, overflow) = offsets[index].addingReportingOverflow(offsets[index + 1])
      guard !overflow else {
        throw checkpoint.problem(tensor, .corrupt, "has more than 2^63 bytes of strings")
      }
      offsets[index + 1] = sum
    }
    return offsets
  }
}
