import WarmstartTensorModel

/// Interprets the pickle of a PyTorch file without executing anything.
///
/// A pickle is a program for a stack machine that makes Python objects. Python's interpreter looks
/// up any class or function that the pickle names, and calls it. This one knows a closed list of
/// names (`TorchGlobal`), and makes only values that describe tensors, storages, containers and
/// keys; it refuses every other name. The work is linear in the pickle's length. The caller pays
/// for the values before they are made.
///
/// Format: Python's `pickle` and `pickletools`; `torch/serialization.py` for persistent ids.
struct PickleMachine {
  /// The places of the stack that are paid for at once; chosen, not tuned.
  private static let stackStep = 256

  var bytes: PickleBytes
  let archive: TorchArchive
  private(set) var memory: ReaderMemory
  /// The memory that the machine took for what it keeps.
  private(set) var taken = 0
  var heap = PickleHeap()
  var storagesOfKeys: [Name: UInt32] = [:]
  private var stack: [PickleValue] = []
  private var paidDepth = 0
  private var marks: [Int] = []
  private var memo: [PickleValue] = []

  /// Interprets the bytes of a pickle of an archive.
  init(_ bytes: PickleBytes, of archive: TorchArchive, _ memory: ReaderMemory) {
    self.bytes = bytes
    self.archive = archive
    self.memory = memory
  }

  /// Runs the pickle to its end.
  ///
  /// - Returns: The object that was pickled.
  mutating func run(_ steps: inout CheckedSteps) throws(IndexError) -> PickleValue {
    guard try bytes.opcode() == .proto else {
      throw .unsupported("has a pickle of protocol 0 or 1: save it with torch.save's own protocol")
    }
    try checkProtocol()
    while true {
      try steps.step()
      let opcode = try bytes.opcode()
      guard opcode != .stop else { break }
      try execute(opcode)
    }
    guard bytes.position == bytes.bytes.count else {
      throw bytes.malformed(
        "has \(bytes.bytes.count - bytes.position) bytes after the pickle's end, expected 0")
    }
    return try pop()
  }

  /// Pays for what the machine keeps.
  mutating func pay(_ byteCount: Int) throws(IndexError) {
    try memory.take(byteCount)
    taken += byteCount
  }

  private mutating func checkProtocol() throws(IndexError) {
    let version = try bytes.number(byteCount: 1)
    guard (2...5).contains(version) else {
      throw .unsupported("has a pickle of protocol \(version), expected 2 to 5")
    }
  }

  private mutating func execute(_ opcode: PickleOpcode) throws(IndexError) {
    switch opcode {
    case .proto: try checkProtocol()
    case .frame: _ = try bytes.number(byteCount: 8)
    case .none: try push(.opaque)
    case .newtrue: try push(.bool(true))
    case .newfalse: try push(.bool(false))
    case .binint1: try push(.integer(Int(bytes.number(byteCount: 1))))
    case .binint2: try push(.integer(Int(bytes.number(byteCount: 2))))
    case .binint: try push(bytes.integer(byteCount: 4).map { .integer($0) } ?? .opaque)
    case .long1: try pushLong(lengthByteCount: 1)
    case .long4: try pushLong(lengthByteCount: 4)
    case .binfloat:
      _ = try bytes.number(byteCount: 8)
      try push(.opaque)
    case .shortBinunicode, .shortBinstring: try pushText(lengthByteCount: 1)
    case .binunicode, .binstring: try pushText(lengthByteCount: 4)
    case .binunicode8: try pushText(lengthByteCount: 8)
    case .shortBinbytes: try pushBytes(lengthByteCount: 1)
    case .binbytes: try pushBytes(lengthByteCount: 4)
    case .binbytes8, .bytearray8: try pushBytes(lengthByteCount: 8)
    case .mark: try pushMark()
    case .pop: try popAny()
    case .popMark: stack.removeSubrange(try popMark()...)
    case .dup:
      let top = try pop()
      try push(top)
      try push(top)
    case .emptyTuple: try pushTuple(from: stack.count)
    case .tuple: try pushTuple(from: popMark())
    case .tuple1: try pushTuple(count: 1)
    case .tuple2: try pushTuple(count: 2)
    case .tuple3: try pushTuple(count: 3)
    case .emptyList: try push(.list(container()))
    case .emptyDict: try push(.dictionary(container()))
    case .emptySet: try push(.opaque)
    case .append: try add(from: stack.count - 1, to: .list)
    case .appends: try add(from: popMark(), to: .list)
    case .setitem: try add(from: stack.count - 2, to: .dictionary)
    case .setitems: try add(from: popMark(), to: .dictionary)
    case .additems: try add(from: popMark(), to: .set)
    case .frozenset:
      stack.removeSubrange(try popMark()...)
      try push(.opaque)
    case .binput: try put(bytes.number(byteCount: 1))
    case .longBinput: try put(bytes.number(byteCount: 4))
    case .memoize: try put(UInt64(memo.count))
    case .binget: try get(bytes.number(byteCount: 1))
    case .longBinget: try get(bytes.number(byteCount: 4))
    case .global:
      let module = try bytes.line()
      let name = try bytes.line()
      try push(.global(TorchGlobal(bytes.bytes[module], bytes.bytes[name])))
    case .stackGlobal:
      let name = try pop()
      guard case .text = name, case .text = stack.last else {
        throw bytes.malformed(
          "has \(name.kind) as the name of a class or function, expected strings")
      }
      let module = try pop()
      try push(.global(TorchGlobal(text(module), text(name))))
    case .binpersid: try push(storage(persistentID: pop()))
    case .reduce:
      let arguments = try pop()
      try push(call(pop(), arguments))
    case .newobj:
      let arguments = try pop()
      try push(make(pop(), arguments))
    case .newobjEx:
      _ = try pop()
      let arguments = try pop()
      try push(make(pop(), arguments))
    case .build:
      _ = try pop()
      try checkState(of: stack.last ?? .unset)
    case .stop: break
    }
  }

  // MARK: Stack

  private mutating func push(_ value: PickleValue) throws(IndexError) {
    if stack.count >= paidDepth {
      try pay(PickleMachine.stackStep * PickleHeap.valueByteCount)
      paidDepth += PickleMachine.stackStep
    }
    stack.append(value)
  }

  private mutating func pop() throws(IndexError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
      throw bytes.malformed("has an instruction that takes a value from an empty stack")
    }
    return value
  }

  private mutating func pushMark() throws(IndexError) {
    try pay(2 * MemoryLayout<Int>.stride)
    marks.append(stack.count)
  }

  private mutating func popMark() throws(IndexError) -> Int {
    guard let mark = marks.popLast() else {
      throw bytes.malformed("has an instruction that takes a mark from a stack without one")
    }
    return mark
  }

  /// Pops a value or, if none is above the last mark, the mark.
  private mutating func popAny() throws(IndexError) {
    if stack.count == marks.last { marks.removeLast() } else { _ = try pop() }
  }

  private mutating func pushLong(lengthByteCount: Int) throws(IndexError) {
    let count = try bytes.number(byteCount: lengthByteCount)
    try push(bytes.integer(byteCount: count).map { .integer($0) } ?? .opaque)
  }

  private mutating func pushText(lengthByteCount: Int) throws(IndexError) {
    let range = try bytes.counted(lengthByteCount: lengthByteCount)
    try push(.text(start: UInt32(range.lowerBound), count: UInt32(range.count)))
  }

  private mutating func pushBytes(lengthByteCount: Int) throws(IndexError) {
    _ = try bytes.counted(lengthByteCount: lengthByteCount)
    try push(.opaque)
  }

  // MARK: Containers

  private mutating func pushTuple(count: Int) throws(IndexError) {
    try checkDepth(count)
    try pushTuple(from: stack.count - count)
  }

  private mutating func pushTuple(from start: Int) throws(IndexError) {
    try pay((stack.count - start) * PickleHeap.valueByteCount)
    let tuple = heap.tuple(stack[start...])
    stack.removeSubrange(start...)
    try push(tuple)
  }

  private mutating func container() throws(IndexError) -> UInt32 {
    try pay(PickleHeap.containerByteCount)
    return heap.container()
  }

  /// The kinds of objects to which items are added.
  private enum Target: String {
    case list, dictionary, set
  }

  /// Moves the values from a place of the stack on to the object below them.
  private mutating func add(from start: Int, to target: Target) throws(IndexError) {
    try checkDepth(stack.count - start + 1)
    let count = stack.count - start
    guard target != .dictionary || count.isMultiple(of: 2) else {
      throw bytes.malformed("has a key without a value for a dictionary")
    }
    switch (stack[start - 1], target) {
    case (.list(let container), .list), (.dictionary(let container), .dictionary):
      try pay(count * PickleHeap.valueByteCount)
      heap.append(stack[start...], to: container)
    // Items of sets, and of objects that are skipped, are skipped too.
    case (.opaque, _): break
    case (let object, _):
      throw bytes.malformed("has items for \(object.kind), expected a \(target)")
    }
    stack.removeSubrange(start...)
  }

  /// Checks that at least `count` values are above the last mark.
  private func checkDepth(_ count: Int) throws(IndexError) {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw bytes.malformed("has an instruction that takes \(count) values from a stack with fewer")
    }
  }

  /// Makes a new dictionary.
  mutating func dictionary() throws(IndexError) -> PickleValue {
    try .dictionary(container())
  }

  // MARK: Memo

  private mutating func put(_ index: UInt64) throws(IndexError) {
    // A writer numbers the memo from 0, and takes two bytes or more for each place.
    guard index < UInt64(bytes.bytes.count) else {
      throw bytes.malformed(
        "has the pickle's memo place \(index), expected less than \(bytes.bytes.count)")
    }
    let index = Int(index)
    if index >= memo.count {
      let added = index + 1 - memo.count
      try pay(added * PickleHeap.valueByteCount)
      memo += repeatElement(.unset, count: added)
    }
    let top = try pop()
    memo[index] = top
    try push(top)
  }

  private mutating func get(_ index: UInt64) throws(IndexError) {
    guard index < UInt64(memo.count) else {
      throw bytes.malformed("has the memo place \(index), expected one that was set")
    }
    let value = memo[Int(index)]
    if case .unset = value {
      throw bytes.malformed("has the memo place \(index), expected one that was set")
    }
    try push(value)
  }

  // MARK: Text

  /// The bytes of a string; none for any other value.
  func text(_ value: PickleValue) -> ArraySlice<UInt8> {
    guard case .text(let start, let count) = value else { return [] }
    return bytes.bytes[Int(start)..<Int(start) + Int(count)]
  }
}
