import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

extension RunReader {
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
            let stored = checkpoint.isBigEndian(tensor) ? word.byteSwapped : word
            guard stored == checksum.masked else {
              fault =
                "their checksum does not match: stored \(stored), calculated \(checksum.masked)"
              break
            }
            checksum.update(littleEndian: word)
            isWhole = true
            break
          }
          let length = try cursor.varint64()
          checksum.update(length: length, isBigEndian: checkpoint.isBigEndian(tensor))
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
    guard end == run.byteCount - start else {
      throw checkpoint.problem(
        tensor, .corrupt,
        "has \(run.byteCount - start) bytes of strings in \(fileName(position)), expected "
          + (end == .max ? "more than 2^63" : "\(end)"))
    }
    return StringRun(offsets: offsets, place: .file(start: start, checksum))
  }

  /// Passes the bytes of a stored run of strings to the body, in order, each chunk with its offset.
  ///
  /// - Throws: What is wrong if the bytes are not those that were stored, or what the body throws.
  ///   What the body got is then worthless.
  mutating func stream(
    _ strings: StringRun, at position: Int, of tensor: Int,
    _ body: (RawSpan, Int) throws(Problem) -> Void
  ) throws(Problem) {
    switch strings.place {
    case .memory(let bytes): try body(bytes.rawSpan, 0)
    case .file(let start, let lengths):
      let run = checkpoint.stored[position]
      var checksum = RunChecksum(run.checksum, resuming: lengths)
      reserveBuffer(strings.byteCount)
      var done = 0
      while done < strings.byteCount {
        try checkIn()
        let count = min(buffer.count, strings.byteCount - done)
        try read(run, of: tensor, from: start + done, count: count)
        let chunk = buffer.rawSpan.extracting(0..<count)
        checksum.update(chunk)
        try body(chunk, done)
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
