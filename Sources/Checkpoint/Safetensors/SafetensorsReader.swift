import WarmstartTensorModel

/// Reads the header of a safetensors file.
///
/// A file is the length of the header in eight bytes, little-endian; the header, a JSON object that
/// gives dtype, shape and place of each tensor; and the tensors' bytes, one after the other without
/// gaps. What is refused is what the library safetensors 0.8 refuses, and names that occur twice,
/// of which the library keeps one. See the page "Format" of the library's documentation.
struct SafetensorsReader {
  /// The longest header, as in the library.
  private static let maximumHeaderByteCount = 100_000_000
  /// The length of the field before the header.
  private static let lengthByteCount = 8

  /// Whether a file that begins with these bytes is a safetensors file, perhaps one that is cut
  /// off.
  static func recognizes(_ head: Span<UInt8>, fileByteCount: Int) -> Bool {
    guard head.count > lengthByteCount, fileByteCount > lengthByteCount else { return false }
    let length = headerByteCount(head)
    guard length >= 2, length <= UInt64(maximumHeaderByteCount) else { return false }
    for index in lengthByteCount..<head.count {
      switch head[index] {
      case 0x20, 0x09, 0x0a, 0x0d: continue
      default: return head[index] == UInt8(ascii: "{")
      }
    }
    return false
  }

  private static func headerByteCount(_ head: Span<UInt8>) -> UInt64 {
    var count: UInt64 = 0
    for index in 0..<lengthByteCount { count |= UInt64(head[index]) << (8 * UInt64(index)) }
    return count
  }

  /// Reads the header and adds the tensors, in the order of their bytes.
  static func read(
    _ file: IndexFile, to tensors: inout FoundTensors, _ memory: inout ReaderMemory,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    let head = try file.read(0..<lengthByteCount)
    let length = headerByteCount(head.span)
    guard length <= UInt64(maximumHeaderByteCount) else {
      throw .tooLong(
        part: "a header", byteCount: Int(clamping: length), limit: maximumHeaderByteCount)
    }
    let range = lengthByteCount..<lengthByteCount + Int(length)
    guard range.upperBound <= file.byteCount else {
      throw .endsEarly(at: file.byteCount, expected: range.upperBound)
    }
    try memory.take(range.count)
    defer { memory.giveBack(range.count) }
    let json = try JSONText(file.read(range), at: range.lowerBound, checkIn: checkIn)
    var reader = SafetensorsReader(json, memory, checkIn)
    try reader.readHeader()
    memory = reader.memory
    try reader.add(to: &tensors, dataOffset: range.upperBound, fileByteCount: file.byteCount)
  }

  private var json: JSONText
  private var memory: ReaderMemory
  private var steps: CheckedSteps
  private var names = NameList()
  private var shapes = ShapeList()
  private var dtypes: [SafetensorsType] = []
  /// The tensors' ranges, counted from the end of the header.
  private var ranges: [Range<Int>] = []
  private var lengths: [Int] = []

  private init(
    _ json: JSONText, _ memory: ReaderMemory, _ checkIn: @escaping () throws(Problem) -> Void
  ) {
    self.json = json
    self.memory = memory
    steps = CheckedSteps(checkIn)
  }

  // MARK: The header

  private mutating func readHeader() throws(IndexError) {
    try json.expect("{")
    var (isFirst, hasMetadata) = (true, false)
    while let key = try json.nextKey(&isFirst) {
      try steps.step()
      if try json.equals(key, "__metadata__") {
        guard !hasMetadata else {
          throw json.fault(at: key.range.lowerBound, "has \"__metadata__\" twice")
        }
        hasMetadata = true
        try skipMetadata()
      } else {
        try readTensor(key)
      }
    }
    try json.finish()
  }

  /// Takes an object of texts, or null.
  private mutating func skipMetadata() throws(IndexError) {
    guard json.peek() == UInt8(ascii: "{") else {
      guard json.peek() == UInt8(ascii: "n") else { throw json.fault(expected: "'{'") }
      return try json.skipValue()
    }
    try json.expect("{")
    var isFirst = true
    while try json.nextKey(&isFirst) != nil {
      try steps.step()
      _ = try json.string()
    }
  }

  private mutating func readTensor(_ key: JSONScanner.Text) throws(IndexError) {
    var dtype: SafetensorsType?
    var range: Range<Int>?
    var hasShape = false
    try json.expect("{")
    var isFirst = true
    while let field = try json.nextKey(&isFirst) {
      try steps.step()
      if try json.equals(field, "dtype") {
        guard dtype == nil else { throw twice("dtype", field) }
        dtype = try readType(key)
      } else if try json.equals(field, "shape") {
        guard !hasShape else { throw twice("shape", field) }
        hasShape = true
        try readNumbers(limit: FoundTensors.maximumRank, of: "axes")
        let lengths = lengths
        shapes.append(lengths.span)
      } else if try json.equals(field, "data_offsets") {
        guard range == nil else { throw twice("data_offsets", field) }
        try readNumbers(limit: 2, of: "offsets")
        guard lengths.count == 2, lengths[0] <= lengths[1] else {
          throw json.fault(
            at: field.range.lowerBound,
            "has data_offsets \(lengths), expected two in ascending order")
        }
        range = lengths[0]..<lengths[1]
      } else {
        try json.skipValue()
      }
    }
    guard let dtype, let range, hasShape else {
      let missing = dtype == nil ? "dtype" : hasShape ? "data_offsets" : "shape"
      throw .tensorMalformed("has no \(missing)", Name(try json.content(key)[...]))
    }
    try memory.take(
      FoundTensors.memoryByteCount(ofName: key.range.count, axes: shapes.range(dtypes.count).count)
        * 2)
    try append(key)
    dtypes.append(dtype)
    ranges.append(range)
  }

  private mutating func append(_ name: JSONScanner.Text) throws(IndexError) {
    guard !name.hasEscapes else {
      let content = try json.content(name)
      return names.append(content.span)
    }
    let text = json.bytes
    names.append(text.span.extracting(name.range))
  }

  private func twice(_ field: String, _ text: JSONScanner.Text) -> IndexError {
    json.fault(at: text.range.lowerBound, "has \(field) of a tensor twice")
  }

  private mutating func readType(_ key: JSONScanner.Text) throws(IndexError) -> SafetensorsType {
    let text = try json.string()
    let name = Name(try json.content(text)[...])
    guard name.bytes.count < 64, let dtype = SafetensorsType(rawValue: "\(name)") else {
      throw .tensorMalformed(
        "has the unknown dtype \(name.inMessage), expected one of "
          + SafetensorsType.allCases.map(\.rawValue).joined(separator: ", "),
        Name(try json.content(key)[...]))
    }
    return dtype
  }

  /// Takes an array of numbers, into `lengths`.
  private mutating func readNumbers(limit: Int, of what: String) throws(IndexError) {
    lengths.removeAll(keepingCapacity: true)
    let place = json.offset
    try json.expect("[")
    var isFirst = true
    while try json.takeNext(&isFirst, before: "]") {
      guard lengths.count < limit else {
        throw json.fault(at: place, "has more than \(limit) \(what) of a tensor")
      }
      lengths.append(try json.number())
    }
  }

  // MARK: The tensors

  /// Adds the tensors, which must cover the rest of the file without gaps.
  private mutating func add(
    to tensors: inout FoundTensors, dataOffset: Int, fileByteCount: Int
  ) throws(IndexError) {
    let order = ranges.indices.sorted {
      (ranges[$0].lowerBound, ranges[$0].upperBound, $0)
        < (ranges[$1].lowerBound, ranges[$1].upperBound, $1)
    }
    var end = 0
    for index in order {
      try steps.step()
      let range = ranges[index]
      guard range.lowerBound == end else {
        throw .tensorMalformed(
          "begins at \(range.lowerBound) of the data, expected \(end), where the one before ends",
          names[index])
      }
      guard range.upperBound <= fileByteCount - dataOffset else {
        throw .endsEarly(at: fileByteCount, expected: saturatingSum(dataOffset, range.upperBound))
      }
      try expectFit(index)
      end = range.upperBound
      let (dtype, isHalved) = dtypes[index].stored(shapes[index])
      lengths = Array(shapes[index].lengths)
      if isHalved { lengths[lengths.count - 1] /= 2 }
      tensors.append(
        names.span(index), dtype, lengths.span, at: dataOffset + range.lowerBound,
        byteCount: range.count)
    }
    guard end == fileByteCount - dataOffset else {
      throw .malformed(
        at: dataOffset + end, "has \(fileByteCount - dataOffset - end) bytes that no tensor has")
    }
  }

  /// Throws unless a tensor's bytes are as many as its shape and dtype need.
  private func expectFit(_ index: Int) throws(IndexError) {
    let shape = shapes[index]
    let count = shape.elementCount ?? .max
    let (bits, overflow) = count.multipliedReportingOverflow(by: dtypes[index].bitCount)
    guard !overflow, bits % 8 == 0, bits / 8 == ranges[index].count else {
      throw .tensorMalformed(
        "has \(ranges[index].count) bytes, expected "
          + (overflow ? "less than 2^63" : bits % 8 == 0 ? "\(bits / 8)" : "whole bytes")
          + " for \(dtypes[index].rawValue) \(shape)", names[index])
    }
  }

  private func saturatingSum(_ first: Int, _ second: Int) -> Int {
    let (sum, overflow) = first.addingReportingOverflow(second)
    return overflow ? .max : sum
  }
}
