import WarmstartTensorModel

/// The index of a checkpoint in several files: the JSON object `weight_map` says which file holds
/// which tensor.
///
/// The libraries transformers and huggingface_hub write it beside safetensors and PyTorch files, as
/// `model.safetensors.index.json`, and Keras as `model.weights.json`. The files' numbers are their
/// positions among their names in ascending order; clients pass them by these numbers.
struct WeightMap {
  /// The longest index, in bytes: some 2 million tensors; chosen, not tuned.
  private static let maximumByteCount = 256 << 20

  private var names = NameList()
  /// The number of the file of each tensor.
  private var files: [Int32] = []
  /// The names of the files in ascending order.
  private(set) var fileNames: [Name] = []

  /// Whether an index file that begins with these bytes is a weight map: a JSON object.
  static func recognizes(_ head: Span<UInt8>) -> Bool {
    for index in head.indices {
      switch head[index] {
      case 0x20, 0x09, 0x0a, 0x0d: continue
      default: return head[index] == UInt8(ascii: "{")
      }
    }
    return false
  }

  /// Reads an index.
  init(
    _ file: IndexFile, _ memory: inout ReaderMemory, checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    guard file.byteCount <= Self.maximumByteCount else {
      throw .tooLong(part: "an index", byteCount: file.byteCount, limit: Self.maximumByteCount)
    }
    // The text, the names, and what finds the names of files.
    try memory.take(file.byteCount * 2)
    defer { memory.giveBack(file.byteCount) }
    var json = try JSONText(file.read(0..<file.byteCount), at: 0, checkIn: checkIn)
    var steps = CheckedSteps(checkIn)
    var numbers: [Name: Int32] = [:]
    try json.expect("{")
    var (isFirst, hasMap) = (true, false)
    while let key = try json.nextKey(&isFirst) {
      guard try json.equals(key, "weight_map") else {
        try json.skipValue()
        continue
      }
      guard !hasMap else { throw json.fault(at: key.range.lowerBound, "has two weight_maps") }
      hasMap = true
      try json.expect("{")
      var isFirst = true
      while let name = try json.nextKey(&isFirst) {
        try steps.step()
        let name = try json.content(name)
        if json.peek() != UInt8(ascii: "[") {
          try add(name, try json.content(try json.string()), &numbers, &memory)
          continue
        }
        try json.expect("[")
        var isFirst = true
        while try json.takeNext(&isFirst, before: "]") {
          try steps.step()
          try add(name, try json.content(try json.string()), &numbers, &memory)
        }
      }
    }
    try json.finish()
    guard hasMap else { throw .malformed(at: 0, "has no weight_map") }
    fileNames = numbers.keys.sorted()
    var positions = [Int32](repeating: 0, count: fileNames.count)
    for (position, name) in fileNames.enumerated() {
      positions[Int(numbers[name] ?? 0)] = Int32(position)
    }
    for index in files.indices { files[index] = positions[Int(files[index])] }
  }

  /// Adds that a file holds a tensor, or variables of a group.
  private mutating func add(
    _ name: [UInt8], _ fileName: [UInt8], _ numbers: inout [Name: Int32],
    _ memory: inout ReaderMemory
  ) throws(IndexError) {
    try memory.take(96 + name.count)
    names.append(name.span)
    let file = Name(fileName[...])
    if numbers[file] == nil {
      guard numbers.count < maximumCheckpointFiles else {
        throw .unsupported("names more than \(maximumCheckpointFiles) files")
      }
      try memory.take(256 + fileName.count)
      numbers[file] = Int32(numbers.count)
    }
    files.append(numbers[file] ?? 0)
  }

  /// Throws unless the files have exactly the tensors that the map says.
  func expect(_ checkpoint: Checkpoint) throws(IndexError) {
    guard checkpoint.format != .hdf5 else { return try expectGroups(of: checkpoint) }
    let catalog = checkpoint.catalog
    var isListed = [Bool](repeating: false, count: catalog.count)
    for index in files.indices {
      let (name, file) = (names[index], fileNames[Int(files[index])])
      guard let tensor = catalog.position(of: name) else {
        throw .tensorMalformed("is not in file \(file), as the index says", name)
      }
      guard !isListed[tensor] else { throw .tensorMalformed("is in the index twice", name) }
      isListed[tensor] = true
      let found = checkpoint.stored[tensor].shard
      guard found == files[index] else {
        throw .tensorMalformed(
          "is in file \(fileNames[Int(found)]), and not in \(file) as the index says", name)
      }
    }
    guard let other = isListed.firstIndex(of: false) else { return }
    throw .tensorMalformed(
      "is in file \(fileNames[Int(checkpoint.stored[other].shard)]), and not in the index",
      catalog.name(other))
  }

  // MARK: Groups

  /// Throws unless the files have variables of exactly the groups that the map says.
  ///
  /// Keras lists groups, as `/layers/dense/vars`, with one file or several.
  private func expectGroups(of checkpoint: Checkpoint) throws(IndexError) {
    var unused: [Row: Bool] = [:]
    for index in files.indices { unused[Row(name: names[index], file: files[index])] = true }
    for tensor in 0..<checkpoint.catalog.count {
      let (name, file) = (checkpoint.catalog.name(tensor), checkpoint.stored[tensor].shard)
      let path = [UInt8(ascii: "/")] + name.bytes
      let row = Row(
        name: Name(path[..<max(1, path.lastIndex(of: UInt8(ascii: "/")) ?? 0)]), file: file)
      guard unused[row] != nil else {
        throw .tensorMalformed(
          "is in file \(fileNames[Int(file)]), but its group is not listed with that file", name)
      }
      unused[row] = false
    }
    guard let row = unused.first(where: \.value)?.key else { return }
    throw .tensorMalformed(
      "has no variables in file \(fileNames[Int(row.file)]), as the index says", row.name)
  }

  /// A group, and a file that has variables of it.
  private struct Row: Hashable {
    let name: Name
    let file: Int32
  }
}
