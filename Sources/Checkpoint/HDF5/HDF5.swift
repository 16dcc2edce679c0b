import WarmstartTensorModel

/// Reads the tensors of an HDF5 file, such as Keras's `model.weights.h5`.
///
/// A tensor is a dataset, and its name is the dataset's path without the slash in front:
/// `layers/dense/vars/0`. The elements are not read. Datasets of text, and those that have no shape,
/// are no tensors. See the HDF Group's "HDF5 File Format Specification" 3.0.
enum HDF5 {
  /// What is in a file.
  struct Contents {
    /// The tensors, in no particular order.
    fileprivate(set) var tensors: [FoundTensor] = []
    /// The names that Keras's layers had.
    fileprivate(set) var layers = LayerNames()
  }

  /// Whether a file that begins with these bytes is HDF5.
  static func recognizes(_ head: Span<UInt8>) -> Bool {
    let signature = Superblock.signature
    return head.count >= signature.count
      && signature.indices.allSatisfy { head[$0] == signature[$0] }
  }

  /// Reads the tensors of a file.
  ///
  /// - Parameters:
  ///   - memory: Pays for what is read, and keeps the payment for what is returned.
  ///   - checkIn: Throws if no client waits for the tensors any more.
  static func read(
    _ file: IndexFile, _ memory: inout ReaderMemory, checkIn: () throws(Problem) -> Void
  ) throws(IndexError) -> [FoundTensor] {
    try readAll(file, 0..<file.byteCount, &memory, checkIn: checkIn).tensors
  }

  /// Reads the tensors, and the names of layers, of an HDF5 file that is a range of a file's bytes.
  ///
  /// - Parameters:
  ///   - range: The HDF5 file; the offsets of tensors are those in the whole file.
  ///   - memory: Pays for what is read, and keeps the payment for what is returned.
  ///   - checkIn: Throws if no client waits for the tensors any more.
  static func readAll(
    _ file: IndexFile, _ range: Range<Int>, _ memory: inout ReaderMemory,
    checkIn: () throws(Problem) -> Void
  ) throws(IndexError) -> Contents {
    var walk = HDF5Walk(try HDF5File(file, range, memory))
    defer { memory = walk.file.memory }
    try walk.run(checkIn)
    walk.file.close()
    return walk.contents
  }
}

/// A walk from the root group over all objects of an HDF5 file.
private struct HDF5Walk {
  /// The steps between two calls of `checkIn`; chosen, not tuned.
  private static let stepCount = 16_384
  /// The longest path, in bytes; chosen, not tuned.
  private static let maximumPathByteCount = 16 << 10
  /// The paths of a file have at most this many times its length, and `pathBase`. A dataset takes
  /// 250 bytes or more, so that paths of 2,000 bytes on average are read; chosen, not tuned.
  private static let pathFactor = 8
  private static let pathBase = 1 << 20
  /// The memory of a tensor beside its name, its shape, and its place in `datasets`, approximately.
  private static let tensorByteCount = 2 * MemoryLayout<FoundTensor>.stride + 64

  /// The memory of a layer's name beside its bytes, approximately.
  private static let layerByteCount = 96

  fileprivate var file: HDF5File
  fileprivate var contents = HDF5.Contents()

  /// The groups whose links are still to be followed.
  private var groups: [(path: [UInt8], links: GroupLinks)] = []
  /// The positions in `contents.tensors` of the datasets by the addresses of their headers, and -1
  /// for those that are no tensors; a dataset may have several names.
  private var datasets: [Int: Int] = [:]
  private var pathByteCount = 0
  private let pathLimit: Int

  fileprivate init(_ file: HDF5File) {
    self.file = file
    let (product, overflow) = file.byteCount.multipliedReportingOverflow(by: Self.pathFactor)
    pathLimit = overflow ? .max : max(product, product &+ Self.pathBase)
  }

  fileprivate mutating func run(_ checkIn: () throws(Problem) -> Void) throws(IndexError) {
    let root = try Superblock(&file).root
    try visit(root, [])
    guard !groups.isEmpty else {
      throw .malformed(
        at: file.offset(of: root), "has a root object that is no group, expected a group")
    }
    var steps = 0
    while let group = groups.popLast() {
      for link in group.links.links {
        steps += 1
        if steps % Self.stepCount == 0 {
          do { try checkIn() } catch { throw .stopped(error) }
        }
        try follow(link, from: group.path)
      }
      file.memory.giveBack(group.links.memoryByteCount)
    }
  }

  private mutating func follow(
    _ link: GroupLinks.Link, from group: [UInt8]
  ) throws(IndexError) {
    let path = group.isEmpty ? Array(link.name) : group + [UInt8(ascii: "/")] + link.name
    guard path.count <= Self.maximumPathByteCount, path.count <= pathLimit - pathByteCount else {
      throw .unsupported(
        "has a path of \(path.count) bytes, expected at most "
          + "\(Self.maximumPathByteCount), and \(pathLimit) for all paths together")
    }
    pathByteCount += path.count
    switch link.target {
    case .object(let address): try visit(address, path)
    case .path(let kind):
      throw .tensorUnsupported(
        "is \(kind), expected a dataset or a group of this file; Keras does not follow links either",
        Name(path[...]))
    }
  }

  /// Reads the object at an address, and keeps what it is.
  private mutating func visit(_ address: Int, _ path: [UInt8]) throws(IndexError) {
    if let position = datasets[address] {
      guard position >= 0 else { return }
      var tensor = contents.tensors[position]
      tensor.name = Name(path[...])
      try keep(tensor)
      return
    }
    let header = try ObjectHeader(at: address, in: &file)
    defer { file.memory.giveBack(header.memoryByteCount) }
    if let links = try GroupLinks(header, in: &file) {
      try file.takeUntilEnd(path.count + 64)
      groups.append((path, links))
      try keepLayerName(header, path)
    } else if let dataset = HDF5Dataset(header, Name(path[...])) {
      try file.takeUntilEnd(Self.tensorByteCount)
      let tensor = try dataset.tensor(in: &file)
      datasets[address] = tensor == nil ? -1 : contents.tensors.count
      if let tensor { try keep(tensor) }
    } else if header.message(.datatype) == nil {
      throw .tensorMalformed(
        "is neither a group nor a dataset nor a datatype, expected one of them", Name(path[...]))
    }
  }

  private mutating func keep(_ tensor: FoundTensor) throws(IndexError) {
    try file.memory.take(Self.tensorByteCount + tensor.name.bytes.count + 8 * tensor.shape.count)
    contents.tensors.append(tensor)
  }

  /// Keeps the name of the layer whose variables are in a group, if Keras wrote it.
  private mutating func keepLayerName(
    _ header: ObjectHeader, _ path: [UInt8]
  ) throws(IndexError) {
    guard LayerNames.isGroup(path),
      let name = try HDF5Attribute.text("name", of: header, in: &file)
    else { return }
    try file.memory.take(path.count + name.count + Self.layerByteCount)
    if !contents.layers.add(name, ofGroup: path) {
      file.memory.giveBack(path.count + name.count + Self.layerByteCount)
    }
  }
}
