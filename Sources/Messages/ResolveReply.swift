internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

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
    /// Whether the bytes can never change.
    ///
    /// On the wire it is a word, `sealed` or `best-effort`; every other word promises as little as
    /// the second one.
    package var isSealed: Bool

    package init(id: UInt64, place: Place, byteCount: Int, isSealed: Bool) {
      self.id = id
      self.place = place
      self.byteCount = byteCount
      self.isSealed = isSealed
    }

    fileprivate static let sealed: StaticString = "sealed"
    fileprivate static let bestEffort: StaticString = "best-effort"
  }

  /// What became of a map besides handles; each response has a part of it.
  package struct Report: Sendable, Hashable {
    /// Variables that were matched but not assigned.
    package var skipped: [Resolution.Skipped] = []
    /// Positions of pairs of the map that matched no variable.
    package var unused: [Int] = []
    /// Positions of variables that no pair matched.
    package var uncovered: [Int] = []
    /// What the checkpoint has that was not asked for.
    package var unusedTensors = UnusedTensors()

    package init() {}
  }

  /// How many of the stored bytes that a call needs are verified, or pieces are made of them.
  package struct Progress: Sendable, Hashable {
    package var readyByteCount = 0
    package var totalByteCount = 0

    package init(readyByteCount: Int = 0, totalByteCount: Int = 0) {
      self.readyByteCount = readyByteCount
      self.totalByteCount = totalByteCount
    }
  }

  /// In the first response, if the call opened the checkpoint.
  package private(set) var checkpoint: OpenReply?
  // Mostly there is one region, which needs no array.
  package private(set) var firstRegion: Region?
  private var laterRegions: [Region] = []
  package private(set) var regionCount = 0
  package private(set) var handles = Handles()
  /// The report without the number of unused tensors; nil if it says nothing else, as mostly.
  private var details: Report?
  /// Whether the report says more than how many tensors are unused.
  package private(set) var hasDetails = false
  package private(set) var unusedTensorCount = 0
  /// In a response that has nothing else.
  package private(set) var progress: Progress?

  /// No response yet.
  package init() {}

  /// Unpacks a response; the handles of a plan have no regions and no offsets.
  package init(
    unpacking bytes: RawSpan, _ scratch: Scratch, isPlan: Bool = false
  ) throws(MessageError) {
    try add(unpacking: bytes, scratch, isPlan: isPlan)
  }

  /// Unpacks a later response to the same call, whose regions and handles follow those so far.
  package mutating func add(
    unpacking bytes: RawSpan, _ scratch: Scratch, isPlan: Bool
  ) throws(MessageError) {
    var reader = FieldReader(Span(_bytes: bytes))
    // Only the last response says what is unused.
    unusedTensorCount = 0
    if hasDetails { details?.unusedTensors = UnusedTensors() }
    while let field = try reader.next() {
      if case .varint(let value) = field.value, field.number == 7 {
        unusedTensorCount = Int(clamping: value)
      }
      guard case .bytes(let range) = field.value else { continue }
      let contents = bytes.extracting(range)
      switch field.number {
      case 1: checkpoint = try OpenReply(unpacking: contents, scratch)
      case 2: append(try Region(unpacking: contents))
      case 3: try handles.append(contents, isPlan: isPlan)
      case 9: progress = try Progress(unpacking: contents)
      default: try addDetail(field.number, contents, scratch)
      }
    }
  }

  private mutating func append(_ region: Region) {
    if regionCount == 0 { firstRegion = region } else { laterRegions.append(region) }
    regionCount += 1
  }

  /// Adds a field of the report.
  private mutating func addDetail(
    _ number: UInt64, _ contents: RawSpan, _ scratch: Scratch
  ) throws(MessageError) {
    guard number <= 8 else { return }
    if details == nil { details = Report() }
    hasDetails = true
    switch number {
    case 4: details?.skipped += try ResolveReply.skipped(contents, scratch)
    case 5: details?.unused += try ResolveReply.positions(contents, of: "unused pairs")
    case 6: details?.uncovered += try ResolveReply.positions(contents, of: "uncovered variables")
    case 8: details?.unusedTensors.names = try ResolveReply.names(contents)
    default: break
    }
  }

  // MARK: What has been read

  /// The region at a position, which must exist.
  package func region(_ position: Int) -> Region {
    if position == 0, let firstRegion { return firstRegion }
    return laterRegions[position - 1]
  }

  /// All regions.
  package var regions: [Region] { (0..<regionCount).map { region($0) } }

  /// What became of the map besides handles.
  package var report: Report {
    var report = details ?? Report()
    report.unusedTensors.count = unusedTensorCount
    return report
  }

  /// Takes the handles out, which leaves none.
  package mutating func takeHandles() -> Handles {
    var taken = Handles()
    swap(&taken, &handles)
    return taken
  }

  /// Returns what the last response says that the call opened, once.
  package mutating func takeCheckpoint() -> OpenReply? {
    guard checkpoint != nil else { return nil }
    defer { checkpoint = nil }
    return checkpoint
  }

  private static func positions(
    _ bytes: RawSpan, of what: String
  ) throws(MessageError) -> [Int] {
    guard bytes.byteCount % 4 == 0 else { throw .malformed("\(what) of \(bytes.byteCount) bytes") }
    return stride(from: 0, to: bytes.byteCount, by: 4).map {
      Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: $0, as: UInt32.self))
    }
  }

  /// Unpacks the message `Names` without a copy between.
  private static func names(_ bytes: RawSpan) throws(MessageError) -> NameList {
    var reader = FieldReader(Span(_bytes: bytes))
    var (text, lengths) = (0..<0, 0..<0)
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      if field.number == 1 { text = range }
      if field.number == 2 { lengths = range }
    }
    var names = NameList()
    names.reserveCapacity(lengths.count / 4, byteCount: text.count)
    for place in stride(from: lengths.lowerBound, to: lengths.upperBound - 3, by: 4) {
      let length = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self))
      guard length <= text.count else { break }
      let end = text.lowerBound + length
      names.append(Span(_bytes: bytes.extracting(text.lowerBound..<end)))
      text = end..<text.upperBound
    }
    guard text.isEmpty, 4 * names.count == lengths.count else {
      throw .malformed("unused tensors: the names' lengths do not add up to the text's")
    }
    return names
  }

  private static func skipped(
    _ bytes: RawSpan, _ scratch: Scratch
  ) throws(MessageError) -> [Resolution.Skipped] {
    let what = "skipped variables"
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__skipped__unpack($0, $1, $2) })
    let variables = unsafe column(message.pointee.variables, message.pointee.n_variables)
    let tensors = try unsafe NameList(message.pointee.tensors, count: variables.count, of: what)
    let ranks = unsafe column(message.pointee.ranks, message.pointee.n_ranks)
    try expect(ranks.count, variables.count, of: what, "ranks")
    let shapes = try unsafe WarmstartMessages.shapes(
      column(message.pointee.lengths, message.pointee.n_lengths), ranks: ranks, areKnown: false,
      of: what)
    return variables.indices.map { index in
      Resolution.Skipped(
        variable: Int(variables[index]), tensor: tensors[index],
        // Users count axes from 0, which a run of a longer buffer does not.
        storedShape: ranks[index] < 0 ? nil : Shape(Array(shapes[index].lengths)))
    }
  }
}

extension ResolveReply.Progress {
  fileprivate init(unpacking bytes: RawSpan) throws(MessageError) {
    self.init()
    var reader = FieldReader(Span(_bytes: bytes))
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): readyByteCount = Int(clamping: value)
      case (2, .varint(let value)): totalByteCount = Int(clamping: value)
      default: break
      }
    }
  }
}

extension ResolveReply.Region {
  fileprivate init(unpacking bytes: RawSpan) throws(MessageError) {
    var reader = FieldReader(Span(_bytes: bytes))
    var kind: UInt64 = 0
    var (file, descriptor) = (0, 0)
    (id, byteCount, isSealed) = (0, 0, false)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): id = value
      case (2, .varint(let value)): kind = value
      case (3, .varint(let value)): byteCount = Int(clamping: value)
      case (4, .varint(let value)): file = Int(clamping: value)
      case (5, .varint(let value)): descriptor = Int(clamping: value)
      case (6, .bytes(let range)):
        isSealed = ResolveReply.Region.isSealed(bytes.extracting(range))
      default: break
      }
    }
    switch Warmstart__V1__Region__Kind(rawValue: UInt32(clamping: kind)) {
    case WARMSTART__V1__REGION__KIND__FILE: place = .file(file)
    case WARMSTART__V1__REGION__KIND__ARENA: place = .arena(descriptor: descriptor)
    default: throw .malformed("a region of an unknown kind")
    }
  }

  /// Whether the bytes are the word `sealed`.
  private static func isSealed(_ word: RawSpan) -> Bool {
    guard word.byteCount == sealed.utf8CodeUnitCount else { return false }
    return unsafe word.withUnsafeBytes { word in
      unsafe word.elementsEqual(
        UnsafeBufferPointer(start: sealed.utf8Start, count: sealed.utf8CodeUnitCount))
    }
  }
}

extension FieldWriter {
  private mutating func prepend(fieldsOf region: ResolveReply.Region) {
    let word =
      region.isSealed ? ResolveReply.Region.sealed : ResolveReply.Region.bestEffort
    unsafe prepend(
      field: 6,
      Span(
        _unsafeStart: word.utf8Start, count: word.utf8CodeUnitCount))
    let kind: Warmstart__V1__Region__Kind
    switch region.place {
    case .file(let position):
      kind = WARMSTART__V1__REGION__KIND__FILE
      prepend(field: 4, UInt64(position))
    case .arena(let position):
      kind = WARMSTART__V1__REGION__KIND__ARENA
      prepend(field: 5, UInt64(position))
    }
    prepend(field: 3, UInt64(region.byteCount))
    prepend(field: 2, UInt64(kind.rawValue))
    prepend(field: 1, region.id)
  }
}

extension FieldWriter {
  /// Begins a frame whose body is a response, less what the connection makes different.
  package mutating func begin(
    _ handles: OutgoingHandles, _ report: ResolveReply.Report
  ) {
    begin(reserving: handles.wireByteCount)
    if report.unusedTensors.names.count > 0 { prepend(field: 8, report.unusedTensors.names) }
    prepend(field: 7, UInt64(report.unusedTensors.count))
    prepend(field: 6, count: report.uncovered.count) { UInt32(report.uncovered[$0]) }
    prepend(field: 5, count: report.unused.count) { UInt32(report.unused[$0]) }
    let skipped = report.skipped
    if !skipped.isEmpty { prepend(field: 4) { frame in frame.prepend(skipped) } }
    if handles.count > 0 { prepend(field: 3) { frame in handles.prepend(to: &frame) } }
  }

  private mutating func prepend(_ skipped: [Resolution.Skipped]) {
    let lengths = skipped.flatMap { Array<Int>($0.storedShape?.lengths ?? []) }
    prepend(field: 4, column: lengths.span)
    prepend(field: 3, count: skipped.count) { Int32(skipped[$0].storedShape?.rank ?? -1) }
    prepend(field: 2, names: skipped.count) { position, body in
      let name = skipped[position].tensor
      body(name.bytes.span)
    }
    prepend(field: 1, count: skipped.count) { UInt32(skipped[$0].variable) }
  }

  /// Begins a frame whose body is a response that only says how far the call is.
  package mutating func begin(_ progress: ResolveReply.Progress, ofPreload: Bool = false) {
    begin()
    prepend(field: ofPreload ? 2 : 9) { frame in
      frame.prepend(field: 2, UInt64(progress.totalByteCount))
      frame.prepend(field: 1, UInt64(progress.readyByteCount))
    }
  }

  /// Begins a frame whose body is the fields of a response that were packed before.
  package mutating func begin(fields: [UInt8]) {
    begin(reserving: fields.count)
    prepend(fields.span)
  }

  /// Puts in front a region that a response is the first to name.
  package mutating func prepend(_ region: ResolveReply.Region) {
    prepend(field: 2) { frame in frame.prepend(fieldsOf: region) }
  }

  /// Puts in front what the connection makes different in a response.
  package mutating func prepend(
    _ checkpoint: OpenReply?, _ regions: [ResolveReply.Region], _ scratch: Scratch
  ) {
    for region in regions.reversed() { prepend(region) }
    guard let checkpoint else { return }
    prepend(field: 1) { frame in
      scratch.begin()
      unsafe frame.prepend(&checkpoint.message(scratch).pointee.base)
    }
  }
}
