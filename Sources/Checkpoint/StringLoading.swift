import WarmstartKernel
import WarmstartTable
package import WarmstartTensorModel

extension Loading {
  /// The most memory that planning the pieces and decoding V1 records takes, in bytes,
  /// approximately.
  package mutating func decodingByteCount(of pieces: [Piece]) throws(Problem) -> Int {
    var sum = 0
    func add(_ count: Int, of byteCount: Int) {
      let (product, overflow) = count.multipliedReportingOverflow(by: byteCount)
      let (next, isTooMuch) = sum.addingReportingOverflow(product)
      sum = overflow || isTooMuch ? .max : next
    }
    var strings: Set<Int> = []
    for piece in pieces {
      let runs = checkpoint.runs(of: piece)
      // The position of each gathered row or column, and room to sort them.
      add(piece.gather?.indexCount ?? 0, of: 16)
      // The runs that a piece takes from.
      add(runs.count, of: 24)
      guard checkpoint.catalog.dtype(piece.tensor) == .string else { continue }
      // Each element has at least one byte, and an offset in its run.
      var elementCount = 0
      for run in runs {
        let block = checkpoint.records?.block(of: run).byteCount
        let bytes =
          block.map { DataBlock.contentsLimit(byteCount: $0, isCompressed: true) }
          ?? max(0, checkpoint.stored[run].byteCount)
        let box = checkpoint.box(ofRun: run, of: piece.tensor)
        let count = min(bytes, box.shape.elementCount ?? bytes)
        let (total, overflow) = elementCount.addingReportingOverflow(count)
        elementCount = overflow ? .max : total
        if checkpoint.records == nil, strings.insert(run).inserted { add(count, of: 8) }
      }
      guard piece.slice != nil || runs.count > 1 else { continue }
      // The cuts of the run, an offset in the piece, and a copy.
      let shape = checkpoint.shape(of: piece.tensor, piece.slice)
      add(min(elementCount, shape.elementCount ?? elementCount), of: 40)
    }
    if let records = checkpoint.records { add(try recordByteCount(of: pieces, records), of: 1) }
    return sum
  }

  /// Reads the lengths of the pieces' strings, in the order of the files.
  package mutating func readStrings(of pieces: [Piece]) throws(Problem) {
    var work: [(run: Int, tensor: Int)] = []
    for piece in pieces where checkpoint.catalog.dtype(piece.tensor) == .string {
      work += checkpoint.runs(of: piece.tensor, piece.slice).map { ($0, piece.tensor) }
    }
    for (run, tensor) in inOrderOfDisk(work) { _ = try storedStrings(run, of: tensor) }
  }

  /// The strings of one stored run; their lengths are read at the first call.
  mutating func storedStrings(_ run: Int, of tensor: Int) throws(Problem) -> StringRun {
    if let known = strings[run] { return known }
    let read = try readLengths(run, of: tensor)
    strings[run] = read
    return read
  }

  /// Plans how to fill a piece of strings; reads their lengths if they are not known.
  mutating func planStrings(_ piece: Piece) throws(Problem) -> StringPlan {
    let tensor = piece.tensor
    let positions = checkpoint.runs(of: tensor, piece.slice)
    if piece.slice == nil, positions.count == 1 {
      let run = try storedStrings(positions[0], of: tensor)
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
      let strings = try storedStrings(position, of: tensor)
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

  /// Reads and verifies the lengths of one stored run of strings; decodes a V1 record whole.
  ///
  /// The checksum of the lengths covers their 32-bit values (64-bit values from 4 GiB on), not the
  /// varints. The checksum of the whole run continues with the stored checksum of the lengths and
  /// with the bytes.
  mutating func readLengths(_ position: Int, of tensor: Int) throws(Problem) -> StringRun {
    if let records = checkpoint.records {
      try checkIn()
      return try readStrings(position, of: tensor, records)
    }
    let run = checkpoint.stored[position]
    let box = checkpoint.box(ofRun: position, of: tensor)
    guard let count = box.shape.elementCount,
      run.byteCount >= count
    else {
      throw checkpoint.problem(
        tensor, .corrupt,
        "has an invalid size in \(files.index): stored \(run.byteCount), expected "
          + "\(box.shape.elementCount.map { "at least \($0)" } ?? "less than 2^63")")
    }
    var offsets = [0]
    var checksum = Checksum()
    guard run.byteCount > 0 else {
      return StringRun(offsets: offsets, place: .file(start: 0, checksum))
    }
    offsets.reserveCapacity(count + 1)
    reserveBuffer(run.byteCount)
    var start = 0
    var isWhole = false
    // Saturates, beyond the end of any file.
    var end = 0
    while !isWhole {
      try checkIn()
      let available = min(buffer.count, run.byteCount - start)
      try read(run, of: tensor, from: start, count: available)
      let isLast = available == run.byteCount - start
      var cursor = Cursor(buffer.rawSpan.extracting(0..<available))
      var fault: String?
      do throws(TableError) {
        // A length has at most ten bytes, the checksum behind the last length four.
        while !isWhole, isLast || cursor.remainingCount >= 14 {
          guard offsets.count <= count else {
            let word = try cursor.fixed32()
            let stored = checkpoint.isBigEndian ? word.byteSwapped : word
            guard stored == checksum.masked else {
              fault = "their checksum is \(checksum.masked), stored is \(stored)"
              break
            }
            checksum.update(littleEndian: word)
            isWhole = true
            break
          }
          let length = try cursor.varint64()
          checksum.update(length: length, isBigEndian: checkpoint.isBigEndian)
          let (sum, overflow) = end.addingReportingOverflow(Int(clamping: length))
          end = overflow ? .max : sum
          offsets.append(end)
        }
      } catch {
        fault = "\(error)"
      }
      if let fault {
        try expectNoPointer(run)
        throw checkpoint.problem(
          tensor, .checksumMismatch, "has damaged string lengths in \(fileName(position)): \(fault)"
        )
      }
      start += cursor.offset
    }
    guard end <= run.byteCount - start else {
      throw checkpoint.problem(
        tensor, .corrupt,
        "has string lengths longer than its bytes in \(fileName(position)): together "
          + "\(end == .max ? "more than 2^63" : "\(end)"), of bytes there are \(run.byteCount - start)"
      )
    }
    guard end == run.byteCount - start else {
      throw checkpoint.problem(
        tensor, .corrupt,
        "has \(run.byteCount - start) bytes of strings in \(fileName(position)), expected \(end)")
    }
    return StringRun(offsets: offsets, place: .file(start: start, checksum))
  }

  /// Passes the bytes of a stored run of strings to the body, in order, each chunk with its offset.
  ///
  /// - Throws: What is wrong if the bytes are not those that were stored. What the body got is then
  ///   worthless.
  mutating func stream(
    _ strings: StringRun, at position: Int, of tensor: Int, _ body: (RawSpan, Int) -> Void
  ) throws(Problem) {
    switch strings.place {
    case .memory(let bytes): body(bytes.rawSpan, 0)
    case .file(let start, var checksum):
      let run = checkpoint.stored[position]
      reserveBuffer(strings.byteCount)
      var done = 0
      while done < strings.byteCount {
        try checkIn()
        let count = min(buffer.count, strings.byteCount - done)
        try read(run, of: tensor, from: start + done, count: count)
        let chunk = buffer.rawSpan.extracting(0..<count)
        checksum.update(chunk)
        body(chunk, done)
        done += count
        didRead(count)
      }
      try expect(checksum, run, of: tensor)
    }
  }
}

extension Checksum {
  fileprivate mutating func update(length: UInt64, isBigEndian: Bool) {
    if let short = UInt32(exactly: length) {
      update(littleEndian: isBigEndian ? short.byteSwapped : short)
    } else {
      update(littleEndian: isBigEndian ? length.byteSwapped : length)
    }
  }
}
