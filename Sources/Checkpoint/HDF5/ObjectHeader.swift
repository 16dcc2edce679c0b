import WarmstartTensorModel

/// The description of a group or a dataset: a list of messages, each with one property.
///
/// The list may continue in other blocks. See "Data Object Headers" (IV.A) of the specification.
struct ObjectHeader {
  /// A property of the object.
  struct Message {
    /// Which property; those that the reader does not use have no case.
    enum Kind: Int {
      case dataspace = 0x01
      case linkInfo = 0x02
      case datatype = 0x03
      case link = 0x06
      case externalFiles = 0x07
      case dataLayout = 0x08
      case filterPipeline = 0x0b
      case attribute = 0x0c
      case continuation = 0x10
      case symbolTable = 0x11
    }

    let kind: Kind
    /// Whether the property is stored elsewhere, and `fields` say where.
    let isShared: Bool
    let fields: HDF5Fields
  }

  private static let part = "an object header"
  /// The greatest number of message kinds that the format has; files may have later ones.
  private static let lastKind = 0x18

  /// The messages in the order of the file.
  private(set) var messages: [Message] = []
  /// The blocks that are still to be read.
  private var continuations: [(address: Int, count: Int)] = []

  /// Reads the header at an address, with all its blocks.
  init(at address: Int, in file: inout HDF5File) throws(IndexError) {
    try file.visit(address, Self.part)
    var start = try file.fields(at: address, count: 6, Self.part)
    if start.rest.first == 1 {
      try readOld(&start, at: address, in: &file)
    } else {
      try readNew(&start, at: address, in: &file)
    }
  }

  /// The memory of the messages, which is taken.
  var memoryByteCount: Int { messages.count * MemoryLayout<Message>.stride }

  /// The first message of a kind; nil if the header has none.
  func message(_ kind: Message.Kind) -> Message? { messages.first { $0.kind == kind } }

  // MARK: Version 1

  private mutating func readOld(
    _ start: inout HDF5Fields, at address: Int, in file: inout HDF5File
  ) throws(IndexError) {
    var prefix = try file.fields(at: address + 6, count: 10, Self.part)
    try prefix.skip(2)
    let byteCount = try prefix.uint32()
    continuations = [(address + 16, byteCount)]
    while let block = continuations.popLast() {
      var fields = try file.fields(at: block.address, count: block.count, Self.part)
      while fields.remainingCount > 0 {
        let type = try fields.uint16()
        let byteCount = try fields.uint16()
        let flags = try fields.uint8()
        try fields.skip(3)
        try add(type, flags, try fields.take(byteCount, Self.part), in: &file)
      }
    }
  }

  // MARK: Version 2

  private mutating func readNew(
    _ start: inout HDF5Fields, at address: Int, in file: inout HDF5File
  ) throws(IndexError) {
    var bytes = Array(start.rest)
    try start.signature("OHDR")
    _ = try start.version(2...2)
    let flags = try start.uint8()
    let widthByteCount = 1 << Int(flags & 3)
    let restByteCount = (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
    let rest = try file.fields(at: address + 6, count: restByteCount + widthByteCount, Self.part)
    bytes += rest.rest
    var width = rest
    try width.skip(restByteCount)
    let byteCount = try width.length(widthByteCount)
    guard file.has(byteCount, at: address) else {
      throw .malformed(
        at: rest.offset,
        "has \(Self.part) of \(byteCount) bytes, expected no more than the HDF5 file has")
    }
    let body = try file.fields(at: address + bytes.count, count: byteCount + 4, Self.part)
    bytes += body.rest
    try LookupHash.check(bytes[...], start)
    try addAll(body, flags, in: &file)
    while let block = continuations.popLast() {
      var fields = try file.fields(at: block.address, count: block.count, Self.part)
      try LookupHash.check(fields.rest, fields)
      try fields.signature("OCHK")
      try addAll(fields, flags, in: &file)
    }
  }

  /// Reads the messages of a block of version 2, up to its checksum.
  private mutating func addAll(
    _ block: HDF5Fields, _ headerFlags: UInt8, in file: inout HDF5File
  ) throws(IndexError) {
    var block = block
    var fields = try block.take(max(0, block.remainingCount - 4))
    let orderByteCount = headerFlags & 4 != 0 ? 2 : 0
    // What is left of a block may be less than the start of a message.
    while fields.remainingCount >= 4 + orderByteCount {
      let type = Int(try fields.uint8())
      let byteCount = try fields.uint16()
      let flags = try fields.uint8()
      try fields.skip(orderByteCount)
      try add(type, flags, try fields.take(byteCount, Self.part), in: &file)
    }
  }

  // MARK: Messages

  /// Keeps a message that the reader uses.
  private mutating func add(
    _ type: Int, _ flags: UInt8, _ fields: HDF5Fields, in file: inout HDF5File
  ) throws(IndexError) {
    guard let kind = Message.Kind(rawValue: type) else {
      guard flags & 0x80 == 0 || type <= Self.lastKind else {
        throw .unsupported(
          "has a header message of the unknown type \(type), which its writer forbids to ignore")
      }
      return
    }
    guard kind == .continuation else {
      try file.memory.take(MemoryLayout<Message>.stride)
      messages.append(Message(kind: kind, isShared: flags & 2 != 0, fields: fields))
      return
    }
    var fields = fields
    let address = try fields.definedAddress()
    let count = try fields.length()
    try file.visit(address, "a continuation of \(Self.part)")
    continuations.append((address, count))
  }
}
