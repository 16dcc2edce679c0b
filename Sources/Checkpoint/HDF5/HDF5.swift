import WarmstartTensorModel

/// Reads the tensors of an HDF5 file, such as Keras's `model.weights.h5`.
///
/// A tensor is a dataset, and its name is the dataset's path without the slash in front:
/// `layers/dense/vars/0`. The elements are not read. Datasets of text, and those that have no
/// shape, are no tensors. See the HDF Group's "HDF5 File Format Specification" 3.0.
enum HDF5 {
  /// Whether a file that begins with these bytes is HDF5.
  static func recognizes(_ head: Span<UInt8>) -> Bool {
    let signature = Superblock.signature
    return head.count >= signature.count
      && signature.indices.allSatisfy { head[$0] == signature[$0] }
  }

  /// Adds the tensors, and the names of layers, of an HDF5 file that is a range of a file's bytes.
  ///
  /// - Parameters:
  ///   - range: The HDF5 file; the offsets of tensors are those in the whole file.
  ///   - memory: Pays for what is read, and keeps the payment for what is added.
  ///   - checkIn: Throws if no client waits for the tensors any more.
  static func read(
    _ file: IndexFile, _ range: Range<Int>, to tensors: inout FoundTensors,
    _ memory: inout ReaderMemory, checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    var walk = HDF5Walk(try HDF5File(file, range, memory), checkIn)
    try walk.run(&tensors)
    walk.file.close()
    memory = walk.file.memory
  }
}

/// A walk from the root group over all objects of an HDF5 file.
private struct HDF5Walk {
  /// The longest path, in bytes; chosen, not tuned.
  private static let longestPathByteCount = 16 << 10
  /// How many times longer than the file all paths together may be, beside `pathBase`.
  ///
  /// A dataset takes 250 bytes or more, so that paths of 2,000 bytes on average are read; chosen,
  /// not tuned.
  private static let pathFactor = 8
  private static let pathBase = 1 << 20
  /// The memory of a tensor's place in `datasets`, approximately.
  private static let datasetByteCount = 2 * MemoryLayout<FoundTensor>.stride + 64
  /// The memory of a layer's name beside its bytes, approximately.
  private static let layerByteCount = 96

  fileprivate var file: HDF5File
  private var steps: CheckedSteps

  /// The groups whose links are still to be followed.
  private var groups: [(path: [UInt8], links: GroupLinks)] = []
  /// The datasets by the addresses of their headers, and nil for those that are no tensors; a
  /// dataset may have several names.
  private var datasets: [Int: FoundTensor?] = [:]
  private var pathByteCount = 0
  private let pathLimit: Int

  fileprivate init(_ file: HDF5File, _ checkIn: @escaping () throws(Problem) -> Void) {
    self.file = file
    steps = CheckedSteps(checkIn)
    let (product, overflow) = file.byteCount.multipliedReportingOverflow(by: Self.pathFactor)
    pathLimit = overflow ? .max : max(product, product &+ Self.pathBase)
  }

  fileprivate mutating func run(_ tensors: inout FoundTensors) throws(IndexError) {
    let root = try Superblock(&file).root
    try visit(root, [], &tensors)
    guard !groups.isEmpty else {
      throw .malformed(
        at: file.offset(of: root), "has a root object that is no group, expected a group")
    }
    while let group = groups.popLast() {
      for link in group.links.links {
        try steps.step()
        try follow(link, from: group.path, &tensors)
      }
      file.memory.giveBack(group.links.memoryByteCount)
    }
  }

  private mutating func follow(
    _ link: GroupLinks.Link, from group: [UInt8], _ tensors: inout FoundTensors
  ) throws(IndexError) {
    let path = group.isEmpty ? Array(link.name) : group + [UInt8(ascii: "/")] + link.name
    guard path.count <= Self.longestPathByteCount, path.count <= pathLimit - pathByteCount else {
      throw .unsupported(
        "has a path of \(path.count) bytes, expected at most "
          + "\(Self.longestPathByteCount), and \(pathLimit) for all paths together")
    }
    pathByteCount += path.count
    switch link.target {
    case .object(let address): try visit(address, path, &tensors)
    case .path(let kind):
      throw .tensorUnsupported(
        "is \(kind), expected a dataset or a group of this file; Keras does not follow links either",
        Name(path[...]))
    }
  }

  /// Reads the object at an address, and keeps what it is.
  private mutating func visit(
    _ address: Int, _ path: [UInt8], _ tensors: inout FoundTensors
  ) throws(IndexError) {
    if let known = datasets[address] {
      guard var tensor = known else { return }
      tensor.name = Name(path[...])
      return try keep(tensor, &tensors)
    }
    let header = try ObjectHeader(at: address, in: &file)
    defer { file.memory.giveBack(header.memoryByteCount) }
    if let links = try GroupLinks(header, in: &file) {
      try file.takeUntilEnd(path.count + 64)
      groups.append((path, links))
      try keepLayerName(header, path, &tensors.layers)
    } else if let dataset = HDF5Dataset(header, Name(path[...])) {
      try file.takeUntilEnd(Self.datasetByteCount + path.count)
      let tensor = try dataset.tensor(in: &file)
      datasets[address] = .some(tensor)
      if let tensor { try keep(tensor, &tensors) }
    } else if header.message(.datatype) == nil {
      throw .tensorMalformed(
        "is neither a group nor a dataset nor a datatype, expected one of them", Name(path[...]))
    }
  }

  private mutating func keep(
    _ tensor: FoundTensor, _ tensors: inout FoundTensors
  ) throws(IndexError) {
    try file.memory.take(
      FoundTensors.memoryByteCount(ofName: tensor.name.bytes.count, axes: tensor.shape.count))
    tensors.append(tensor)
  }

  /// Keeps the name of the layer whose variables are in a group, if Keras wrote it.
  private mutating func keepLayerName(
    _ header: ObjectHeader, _ path: [UInt8], _ layers: inout LayerNames
  ) throws(IndexError) {
    guard LayerNames.isGroup(path),
      let name = try HDF5Attribute.text("name", of: header, in: &file)
    else { return }
    try file.memory.take(path.count + name.count + Self.layerByteCount)
    if !layers.add(name, ofGroup: path) {
      file.memory.giveBack(path.count + name.count + Self.layerByteCount)
    }
  }
}
