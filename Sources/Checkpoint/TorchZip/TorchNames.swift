import WarmstartTensorModel

/// Names the tensors in the containers of a pickle.
///
/// A tensor's name has the keys of the dictionaries and the places in the lists that lead to it,
/// joined by `.`: `optimizer.state.0.exp_avg`. A dictionary with tensors at its top, as a
/// `state_dict` is, names them by its keys alone. Values that are not tensors are skipped.
struct TorchNames {
  /// The deepest nesting of containers that is followed; chosen, not tuned.
  private static let maximumDepth = 128
  /// How many items and bytes of keys the containers may have for each byte of the pickle.
  ///
  /// An item takes one byte or more, so only containers and keys that occur again and again, each
  /// time by reference, exceed it. Chosen, not tuned.
  private static let workPerByte = 64

  /// A container whose items are being named.
  private struct Level {
    let items: ArraySlice<PickleValue>
    let isDictionary: Bool
    /// What a key on the way is, if it is no part of a name.
    let unnamed: String?
    /// The length of the common start of the items' names, with its separator.
    let prefixByteCount: Int
    var next: Int
  }

  private let machine: PickleMachine
  private let isBigEndian: Bool
  private var path: [UInt8] = []
  private var levels: [Level] = []
  private var workLeft: Int
  private(set) var tensors: FoundTensors
  private var names: Set<Name> = []

  /// Prepares to add what a machine made.
  init(_ machine: PickleMachine, _ tensors: FoundTensors, isBigEndian: Bool) {
    self.machine = machine
    self.tensors = tensors
    self.isBigEndian = isBigEndian
    workLeft = machine.bytes.bytes.count * TorchNames.workPerByte
  }

  /// Names the tensors in the object that was pickled.
  ///
  /// A file of one tensor has no key for it, so its name is `tensor`.
  mutating func walk(
    from object: PickleValue, _ memory: inout ReaderMemory, _ steps: inout CheckedSteps
  ) throws(IndexError) {
    if case .tensor(let number) = object {
      path = Array("tensor".utf8)
      try add(number, &memory)
      return
    }
    try enter(object, unnamed: nil, &memory)
    while let level = levels.last {
      try steps.step()
      guard level.next < level.items.endIndex else {
        levels.removeLast()
        continue
      }
      levels[levels.count - 1].next += level.isDictionary ? 2 : 1
      let value = level.items[level.isDictionary ? level.next + 1 : level.next]
      path.removeSubrange(level.prefixByteCount...)
      switch value {
      case .tensor(let number):
        if let unnamed = try appendKey(of: level) {
          throw .unsupported(
            "has a tensor under \(Name(path[...]).inMessage), where a key is \(unnamed): "
              + "expected strings and integers as keys")
        }
        try add(number, &memory)
      case .list, .tuple, .dictionary:
        let unnamed = try appendKey(of: level)
        path.append(UInt8(ascii: "."))
        try enter(value, unnamed: unnamed, &memory)
      default: break
      }
    }
  }

  /// Appends the key of a level's next item to the path.
  ///
  /// - Returns: What a key on the way is, if it is no part of a name; else nil.
  private mutating func appendKey(of level: Level) throws(IndexError) -> String? {
    guard level.isDictionary else {
      path += "\(level.next - level.items.startIndex)".utf8
      return level.unnamed
    }
    switch level.items[level.next] {
    case .integer(let integer): path += "\(integer)".utf8
    case .text(let start, _):
      let text = machine.text(level.items[level.next])
      guard String(validating: text, as: UTF8.self) != nil else {
        throw .malformed(
          at: machine.bytes.base + Int(start), "has a key that is not valid UTF-8")
      }
      path += text
    case let key:
      path.append(UInt8(ascii: "?"))
      return level.unnamed ?? key.kind
    }
    return level.unnamed
  }

  /// Starts with the items of a container; any other value has none.
  private mutating func enter(
    _ value: PickleValue, unnamed: String?, _ memory: inout ReaderMemory
  ) throws(IndexError) {
    let (items, isDictionary): (ArraySlice<PickleValue>, Bool)
    switch value {
    case .tuple: (items, isDictionary) = (machine.heap.items(of: value) ?? [], false)
    case .list(let number):
      (items, isDictionary) = (machine.heap.containers[Int(number)][...], false)
    case .dictionary(let number):
      (items, isDictionary) = (machine.heap.containers[Int(number)][...], true)
    default: return
    }
    guard levels.count < TorchNames.maximumDepth else {
      throw .unsupported(
        "has a pickle whose containers nest deeper than \(TorchNames.maximumDepth), "
          + "or hold themselves")
    }
    try work(items.count)
    if isDictionary { try checkKeys(of: items, &memory) }
    levels.append(
      Level(
        items: items, isDictionary: isDictionary, unnamed: unnamed, prefixByteCount: path.count,
        next: items.startIndex))
  }

  /// Refuses a dictionary with a key twice, of which Python would keep the last.
  private mutating func checkKeys(
    of items: ArraySlice<PickleValue>, _ memory: inout ReaderMemory
  ) throws(IndexError) {
    let byteCount = items.count * MemoryLayout<Name>.stride
    try memory.take(byteCount)
    var texts = Set<Name>(minimumCapacity: items.count / 2)
    var integers: Set<Int> = []
    for index in stride(from: items.startIndex, to: items.endIndex, by: 2) {
      let isNew: Bool
      switch items[index] {
      case .text:
        let text = machine.text(items[index])
        try work(text.count)
        isNew = texts.insert(Name(text)).inserted
      case .integer(let integer): isNew = integers.insert(integer).inserted
      default: isNew = true
      }
      guard isNew else {
        throw .malformed(
          at: machine.bytes.base, "has a pickle with a dictionary that has one key twice")
      }
    }
    memory.giveBack(byteCount)
  }

  private mutating func work(_ count: Int) throws(IndexError) {
    guard count <= workLeft else {
      throw .unsupported(
        "has a pickle whose containers hold each other in more than "
          + "\(machine.bytes.bytes.count * TorchNames.workPerByte) items")
    }
    workLeft -= count
  }

  /// Adds a tensor whose name is the path.
  private mutating func add(
    _ number: UInt32, _ memory: inout ReaderMemory
  ) throws(IndexError) {
    // The name is in the set of names meanwhile, which grows by doubling.
    try memory.take(
      path.count + 32 + 2 * MemoryLayout<Name>.stride
        + FoundTensors.memoryByteCount(ofName: path.count, axes: 0))
    let name = Name(Array(path)[...])
    guard !path.isEmpty else {
      throw .unsupported("has a tensor whose key is empty: give it a name")
    }
    guard names.insert(name).inserted else {
      throw .unsupported(
        "has two tensors that are both named \(name.inMessage): rename one of them")
    }
    let tensor: FoundTensor
    switch machine.heap.tensors[Int(number)] {
    case .view(let view): tensor = try view.find(name, in: machine.heap, isBigEndian: isBigEndian)
    case .conjugated(let view):
      tensor = try view.find(name, in: machine.heap, isBigEndian: isBigEndian)
        .listed("is a conjugated or negated view: save tensor.resolve_conj().resolve_neg()")
    case .other(let kind, let shape, let dtype):
      tensor = try TorchTensor.list(kind, shape, dtype, name, in: machine.heap)
    }
    let axisCount = tensor.shape.count + tensor.strides.count
    try memory.take(
      FoundTensors.memoryByteCount(ofName: 0, axes: axisCount)
        - FoundTensors.memoryByteCount(ofName: 0, axes: 0) + (tensor.strides.isEmpty ? 0 : 96)
        + (tensor.refusal == nil ? 0 : 2 * Catalog.refusalByteCount))
    tensors.append(tensor)
  }
}
