import SystemPackage
package import WarmstartKernel
import WarmstartTable
package import WarmstartTensorModel

/// The words at the end of a sealed memfd, by which the daemon's next process knows what it is.
package enum Trailer {
  /// What the memfd is.
  package enum Kind: UInt64, Sendable {
    /// An arena: pieces, and then its `ArenaDescription`.
    case arena = 0x616e_6572_612d_7377
    /// A resident's record, and nothing else.
    case record = 0x6472_6f63_6572_7377
    /// The published names, and nothing else.
    case names = 0x7365_6d61_6e2d_7377
  }

  /// The version of the words: another version's state is discarded, and made again.
  package static let version = 3
  /// Magic number, version, byte count of the words before it, checksum.
  private static let footerByteCount = 32
  /// The most bytes of words; chosen, not tuned.
  private static let maximumByteCount = 1 << 30

  /// The bytes that words take, with the footer.
  package static func byteCount(ofWords count: Int) -> Int { count + footerByteCount }

  /// Adds the footer to words.
  package static func close(_ words: consuming StateWriter, as kind: Kind) -> StateWriter {
    let byteCount = words.byteCount
    words.append(kind.rawValue)
    words.append(version)
    words.append(byteCount)
    var checksum = Checksum()
    checksum.update(words.rawSpan)
    words.append(UInt64(checksum.value))
    return words
  }

  /// Reads the words of a restored memfd, and where they begin in it.
  ///
  /// - Throws: CORRUPT if they are damaged, or those of another kind or version.
  package static func open(
    _ file: SealedArena, as kind: Kind
  ) throws(Problem) -> (words: StateReader, start: Int) {
    let end = file.byteCount - footerByteCount
    guard end >= 0 else { throw Problem(state: "it has \(file.byteCount) bytes, and no trailer") }
    let footer = try read(file, end, footerByteCount)
    var reader = StateReader(footer)
    guard try reader.word() == kind.rawValue else {
      throw Problem(state: "it has no trailer of the expected kind")
    }
    let found = try reader.number()
    guard found == version else {
      throw Problem(state: "its trailer has version \(found), expected \(version)")
    }
    let byteCount = try reader.number()
    guard byteCount >= 0, byteCount <= min(end, maximumByteCount), byteCount % 8 == 0 else {
      throw Problem(state: "its trailer has \(byteCount) bytes of words, but \(end) come before it")
    }
    let words = try read(file, end - byteCount, byteCount)
    var checksum = Checksum()
    checksum.update(words.rawSpan)
    let covered = footer.dropLast(8)
    checksum.update(covered.rawSpan)
    guard try reader.word() == UInt64(checksum.value) else {
      throw Problem(state: "its trailer's checksum does not match")
    }
    return (StateReader(words), end - byteCount)
  }

  private static func read(
    _ file: SealedArena, _ offset: Int, _ count: Int
  ) throws(Problem) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    do throws(Errno) {
      try bytes.write(0..<count) { run throws(Errno) in try file.read(at: offset, into: &run) }
    } catch {
      throw Problem(state: "it cannot be read: \(error)")
    }
    return bytes
  }
}

/// What an arena is: the generation that its pieces are of, and each piece with its place.
package struct ArenaDescription: Sendable {
  /// A piece, where it lies, and what it was verified as.
  package struct Entry: Sendable {
    package let piece: Piece
    package let offset: Int
    package let byteCount: Int
    /// A digest of the stored checksums that the piece's bytes matched.
    let verifiedAs: UInt64
  }

  package let generation: Generation
  package private(set) var entries: [Entry] = []

  /// Describes an arena without pieces.
  package init(of generation: Generation) {
    self.generation = generation
  }

  /// Adds a piece of a checkpoint; pieces come in the order of their places.
  package mutating func append(
    _ piece: Piece, at offset: Int, byteCount: Int, of checkpoint: Checkpoint
  ) {
    entries.append(
      Entry(
        piece: piece, offset: offset, byteCount: byteCount,
        verifiedAs: checkpoint.checksumDigest(of: piece)))
  }

  /// The bytes of the arena's trailer.
  package var trailerByteCount: Int {
    let words = 1 + generation.wordCount + 1 + entries.reduce(0) { $0 + $1.wordCount }
    return Trailer.byteCount(ofWords: 8 * words)
  }

  /// Makes the arena's trailer.
  package func trailer(hugeByteCount: Int) -> StateWriter {
    var words = StateWriter()
    words.append(hugeByteCount)
    generation.append(to: &words)
    words.append(entries.count)
    for entry in entries { entry.append(to: &words) }
    return Trailer.close(words, as: .arena)
  }

  /// Reads the trailer of a restored arena.
  ///
  /// - Returns: The description, and the arena without its trailer.
  /// - Throws: CORRUPT if the trailer does not describe an arena of the checkpoint.
  package static func read(
    _ file: SealedArena, of generation: Generation, _ checkpoint: Checkpoint
  ) throws(Problem) -> (ArenaDescription, SealedArena) {
    var (words, end) = try Trailer.open(file, as: .arena)
    let hugeByteCount = try words.number(in: 0...end)
    guard try Generation(reading: &words) == generation else {
      throw Problem(state: "it is an arena of another generation")
    }
    var description = ArenaDescription(of: generation)
    var free = 0
    for _ in 0..<(try words.count(wordsEach: Entry.minimumWordCount)) {
      let entry = try Entry(reading: &words, in: checkpoint)
      guard entry.offset >= free, entry.offset <= end, entry.byteCount <= end - entry.offset else {
        throw Problem(
          state:
            "a piece of \(entry.byteCount) bytes lies at \(entry.offset), expected one between "
            + "\(free) and \(end)")
      }
      free = entry.offset + entry.byteCount
      description.entries.append(entry)
    }
    guard words.isAtEnd else { throw Problem(state: "words follow its pieces") }
    return (description, SealedArena(first: end, hugeByteCount: hugeByteCount, of: file))
  }
}

extension ArenaDescription.Entry {
  /// The words of a piece without a slice and a gather.
  fileprivate static let minimumWordCount = 9
  /// The largest alignment that a call may ask for is far below this.
  private static let maximumAlignment = 1 << 30

  fileprivate var wordCount: Int {
    Self.minimumWordCount + 2 * (piece.slice?.starts.count ?? 0)
      + (piece.gather.map { $0.indexCount + 2 * $0.axes.count } ?? 0) + piece.view.axes.count
  }

  /// Writes tensor, alignment, place and digest; then the slice's rank (-1 without a slice), starts
  /// and counts; then the number of gathered axes, each with its number and indices; then the
  /// view's axes, and its type (0 for the stored one).
  fileprivate func append(to words: inout StateWriter) {
    words.append(piece.tensor)
    words.append(piece.alignment)
    words.append(offset)
    words.append(byteCount)
    words.append(verifiedAs)
    words.append(piece.slice?.starts.count ?? -1)
    for number in (piece.slice?.starts ?? []) + (piece.slice?.counts ?? []) { words.append(number) }
    let axes = piece.gather?.axes ?? []
    words.append(axes.count)
    for axis in axes {
      words.append(axis.axis)
      words.append(axis.indices)
    }
    words.append(piece.view.axes)
    words.append(Int(piece.view.dtype?.rawValue ?? 0))
  }

  /// Reads a piece, and throws unless it is one that the checkpoint can have.
  fileprivate init(reading words: inout StateReader, in checkpoint: Checkpoint) throws(Problem) {
    let tensor = try words.number(in: 0...max(0, checkpoint.catalog.count - 1))
    guard checkpoint.catalog.count > 0 else { throw Problem(state: "it has a piece of no tensor") }
    let shape = checkpoint.catalog.shape(tensor)
    let alignment = try words.number(in: Piece.alignment...Self.maximumAlignment)
    offset = try words.number(in: 0...Int.max)
    byteCount = try words.number(in: 0...Int.max)
    verifiedAs = try words.word()
    let slice = try Self.slice(&words, of: shape)
    let gather = try Self.gather(&words, of: checkpoint.catalog.lengths(tensor))
    let view = try Self.view(&words, of: checkpoint.catalog.dtype(tensor), shape)
    guard slice == nil || gather == nil, gather == nil || view.axes.isEmpty,
      alignment & (alignment - 1) == 0,
      offset & (alignment - 1) == 0
    else {
      throw Problem(state: "a piece of tensor \(tensor) is malformed")
    }
    piece = Piece(tensor: tensor, slice: slice, gather: gather, view: view, alignment: alignment)
    let isNumeric = checkpoint.catalog.dtype(tensor).byteCount != nil
    guard !isNumeric || checkpoint.byteCount(of: piece) == byteCount,
      checkpoint.checksumDigest(of: piece) == verifiedAs
    else {
      throw Problem(state: "a piece of tensor \(tensor) has other bytes than the index says")
    }
  }

  private static func slice(
    _ words: inout StateReader, of shape: Shape
  ) throws(Problem) -> TensorSlice? {
    let rank = try words.number(in: -1...shape.rank)
    guard rank >= 0 else { return nil }
    var numbers: [Int] = []
    for _ in 0..<2 * rank { numbers.append(try words.number()) }
    let slice = TensorSlice(starts: Array(numbers[..<rank]), counts: Array(numbers[rank...]))
    guard slice.fits(shape) else { throw Problem(state: "a slice exceeds its tensor") }
    return slice
  }

  private static func view(
    _ words: inout StateReader, of stored: DataType, _ shape: Shape
  ) throws(Problem) -> View {
    let axes = try words.numbers()
    let number = try words.number()
    let dtype = number == 0 ? nil : Int32(exactly: number).flatMap { DataType(rawValue: $0) }
    guard axes.isEmpty || stored.byteCount != nil && View.isOrder(axes, ofRank: shape.rank),
      number == 0 || dtype != nil,
      dtype.map(stored.isCast) ?? true
    else { throw Problem(state: "a piece is a view that its tensor cannot have") }
    return View(axes: axes, dtype: dtype)
  }

  private static func gather(
    _ words: inout StateReader, of lengths: Span<Int>
  ) throws(Problem) -> Gather? {
    var axes: [Gather.Axis] = []
    for _ in 0..<(try words.count(wordsEach: 2)) {
      let first = (axes.last?.axis ?? -1) + 1
      let axis = try words.number(in: first...max(first, lengths.count))
      axes.append(Gather.Axis(axis, try words.numbers()))
    }
    guard !axes.isEmpty else { return nil }
    let gather = Gather(axes)
    guard gather.fits(lengths) else { throw Problem(state: "a gather exceeds its tensor") }
    return gather
  }
}

extension Checkpoint {
  /// A digest (FNV-1a) of the checksums and lengths of the stored runs that a piece is made from.
  fileprivate func checksumDigest(of piece: Piece) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ run: StoredBytes) {
      for word in [run.checksum.digest, UInt64(bitPattern: Int64(run.byteCount))] {
        hash = (hash ^ word) &* 0x100_0000_01b3
      }
    }
    let range = storedRange(piece.tensor)
    // Most tensors have one run, and need no list for it.
    if range.count == 1 {
      add(stored[range.lowerBound])
    } else {
      for run in runs(of: piece) { add(stored[run]) }
    }
    return hash
  }
}
