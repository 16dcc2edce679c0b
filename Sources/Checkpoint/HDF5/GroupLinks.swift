import WarmstartTensorModel

/// The names in a group, and what each stands for.
///
/// h5py writes groups as symbol tables: a B-tree whose leaves are symbol table nodes, and a local
/// heap with the names (IV.A.2.r, III.A.1, III.B, III.D of the specification). With
/// `track_order=True` or `libver='latest'` it writes a link message for each name instead
/// (IV.A.2.g).
struct GroupLinks {
  /// A name in the group.
  struct Link {
    /// What a name stands for.
    enum Target {
      /// An object with its header at an address.
      case object(Int)
      /// A path, in this file or another; the text says which kind of link it is.
      case path(String)
    }

    let name: ArraySlice<UInt8>
    let target: Target
  }

  private(set) var links: [Link] = []

  /// The memory of the links, which is taken.
  var memoryByteCount: Int { links.count * MemoryLayout<Link>.stride }

  /// Reads the links of a group; nil if the header is not a group's.
  init?(_ header: ObjectHeader, in file: inout HDF5File) throws(IndexError) {
    if let message = header.message(.symbolTable) {
      var fields = message.fields
      let (tree, heap) = (try fields.definedAddress(), try fields.definedAddress())
      try readSymbols(tree, heap, in: &file)
    } else if let message = header.message(.linkInfo) {
      try expectCompact(message.fields)
      for message in header.messages where message.kind == .link {
        try addLink(message.fields, in: &file)
      }
      links.sort { $0.name.lexicographicallyPrecedes($1.name) }
    } else {
      return nil
    }
    for (link, next) in zip(links, links.dropFirst()) {
      guard link.name.lexicographicallyPrecedes(next.name) else {
        let name = Name(next.name)
        throw .malformed(
          at: header.messages[0].fields.offset,
          "has a group with \(name.inMessage) after \(Name(link.name).inMessage), expected names in "
            + "ascending order")
      }
    }
  }

  private mutating func append(
    _ name: ArraySlice<UInt8>, _ target: Link.Target, at offset: Int, in file: inout HDF5File
  ) throws(IndexError) {
    guard !name.isEmpty, name != [UInt8(ascii: ".")],
      !name.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
    else {
      throw .malformed(
        at: offset,
        "has the name \(Name(name).inMessage) in a group, expected one or more bytes without '/'")
    }
    try file.memory.take(MemoryLayout<Link>.stride)
    try file.takeUntilEnd(name.count + 32)
    // A copy: a slice would keep the block that it was read with in memory.
    links.append(Link(name: Array(name)[...], target: target))
  }

  // MARK: Symbol tables

  private mutating func readSymbols(
    _ tree: Int, _ heap: Int, in file: inout HDF5File
  ) throws(IndexError) {
    var names = try Self.names(heap, in: &file)
    var nodes: [(address: Int, level: UInt8?)] = [(tree, nil)]
    while let node = nodes.popLast() {
      if node.level == .max {
        try readSymbolNode(node.address, &names, in: &file)
        continue
      }
      let part = "a B-tree node"
      try file.visit(node.address, part)
      var head = try file.fields(at: node.address, count: 24, part)
      try head.signature("TREE")
      let start = head.offset
      let (kind, level) = (try head.uint8(), try head.uint8())
      guard kind == 0, level < .max, level == node.level ?? level else {
        throw .malformed(
          at: start,
          "has \(part) of kind \(kind) and level \(level), expected a group's, of level "
            + "\(node.level ?? 0)")
      }
      let count = try head.uint16()
      var children = try file.fields(at: node.address + 24, count: 16 * count + 8, part)
      var addresses: [(Int, UInt8?)] = []
      for _ in 0..<count {
        try children.skip(8)
        // A node of level 0 has symbol table nodes below it, which are none of the B-tree.
        addresses.append((try children.definedAddress(), level == 0 ? .max : level - 1))
      }
      nodes += addresses.reversed()
    }
  }

  /// The names in a group's local heap.
  private struct Heap {
    let fields: HDF5Fields
    /// The bytes that names may still have: names do not overlap.
    var left: Int

    /// Reads the name at an offset of the heap.
    mutating func name(at offset: Int) throws(IndexError) -> ArraySlice<UInt8> {
      var fields = fields
      try fields.skip(offset)
      let place = fields.offset
      let name = fields.text(limit: left)
      guard let name else {
        throw .malformed(
          at: place,
          "has a name without an end in \(fields.part), or names that overlap, expected a NUL byte "
            + "after each")
      }
      left -= name.count + 1
      return name
    }
  }

  /// Reads the names in a group's local heap.
  private static func names(_ address: Int, in file: inout HDF5File) throws(IndexError) -> Heap {
    let part = "a local heap"
    try file.visit(address, part)
    var head = try file.fields(at: address, count: 32, part)
    try head.signature("HEAP")
    _ = try head.version(0...0)
    try head.skip(3)
    let byteCount = try head.length()
    try head.skip(8)
    let fields = try file.fields(at: try head.definedAddress(), count: byteCount, part)
    return Heap(fields: fields, left: byteCount)
  }

  private mutating func readSymbolNode(
    _ address: Int, _ names: inout Heap, in file: inout HDF5File
  ) throws(IndexError) {
    let part = "a symbol table node"
    try file.visit(address, part)
    var head = try file.fields(at: address, count: 8, part)
    try head.signature("SNOD")
    _ = try head.version(1...1)
    try head.skip(1)
    let count = try head.uint16()
    var entries = try file.fields(at: address + 8, count: 40 * count, part)
    for _ in 0..<count {
      let start = entries.offset
      let name = try names.name(at: try entries.length())
      let header = try entries.address()
      let cache = try entries.uint32()
      try entries.skip(4 + 16)
      let target: Link.Target
      if cache == 2 {
        target = .path("a soft link")
      } else if let header {
        target = .object(header)
      } else {
        throw .malformed(at: start, "has an undefined address in \(part), expected a defined one")
      }
      try append(name, target, at: start, in: &file)
    }
  }

  // MARK: Link messages

  /// Reads the message that says where the links of a group are.
  private func expectCompact(_ message: HDF5Fields) throws(IndexError) {
    var fields = message
    _ = try fields.version(0...0)
    let flags = try fields.uint8()
    try fields.skip(flags & 1 != 0 ? 8 : 0)
    guard try fields.address() == nil else {
      throw .unsupported(
        "has a group whose names are in a fractal heap, expected a symbol table; save it "
          + "without libver='latest' and track_order=True, as Keras does")
    }
  }

  private mutating func addLink(
    _ message: HDF5Fields, in file: inout HDF5File
  ) throws(IndexError) {
    var fields = message
    _ = try fields.version(1...1)
    let flags = try fields.uint8()
    let type = flags & 0x08 != 0 ? try fields.uint8() : 0
    try fields.skip((flags & 0x04 != 0 ? 8 : 0) + (flags & 0x10 != 0 ? 1 : 0))
    let count = try fields.length(1 << Int(flags & 3))
    let name = try fields.take(count).rest
    let target: Link.Target =
      switch type {
      case 0: .object(try fields.definedAddress())
      case 1: .path("a soft link")
      case 64: .path("an external link")
      default: .path("a link of the unknown type \(type)")
      }
    try append(name, target, at: message.offset, in: &file)
  }
}
