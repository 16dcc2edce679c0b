/// A value in a pickle, as far as tensors and their names need it.
///
/// Values are small: lists and the like are numbers of things that `PickleHeap` has, so that two
/// names of one list are one list, as in Python, and nothing is freed recursively.
enum PickleValue {
  /// A place in the memo that nothing was put in.
  case unset
  /// None, a float, a long integer, bytes, or an object that is not a tensor and holds none.
  case opaque
  case bool(Bool)
  case integer(Int)
  /// A range of the pickle's bytes.
  case text(start: UInt32, count: UInt32)
  /// A range of the heap's items.
  case tuple(start: UInt32, count: UInt32)
  case list(UInt32)
  case dictionary(UInt32)
  case global(TorchGlobal)
  case storage(UInt32)
  case tensor(UInt32)

  /// What messages call the value.
  var kind: String {
    switch self {
    case .unset: "nothing"
    case .opaque: "an object"
    case .bool: "a bool"
    case .integer: "an integer"
    case .text: "a string"
    case .tuple: "a tuple"
    case .list: "a list"
    case .dictionary: "a dictionary"
    case .global: "a class or function"
    case .storage: "a storage"
    case .tensor: "a tensor"
    }
  }
}

/// What the values of a pickle refer to.
struct PickleHeap {
  /// The items of all tuples, which never change.
  private(set) var items: [PickleValue] = []
  /// The items of each list, and the keys and values of each dictionary by turns.
  private(set) var containers: [[PickleValue]] = []
  /// The storages, each once.
  var storages: [TorchStorage] = []
  /// The tensors, each as often as the pickle makes it.
  var tensors: [TorchTensor] = []

  /// The memory for a value in an array that grows by doubling.
  static let valueByteCount = 2 * MemoryLayout<PickleValue>.stride
  /// The memory for a list or dictionary without its items: an array in an array.
  static let containerByteCount = 64

  /// Makes a tuple of values.
  mutating func tuple(_ values: ArraySlice<PickleValue>) -> PickleValue {
    let start = items.count
    items += values
    return .tuple(start: UInt32(start), count: UInt32(values.count))
  }

  /// Makes the number of a list or dictionary without items.
  mutating func container() -> UInt32 {
    containers.append([])
    return UInt32(containers.count - 1)
  }

  /// Adds items to a list, or keys and values to a dictionary.
  mutating func append(_ values: ArraySlice<PickleValue>, to container: UInt32) {
    containers[Int(container)] += values
  }

  /// The items of a tuple; nil for any other value.
  func items(of value: PickleValue) -> ArraySlice<PickleValue>? {
    guard case .tuple(let start, let count) = value else { return nil }
    return items[Int(start)..<Int(start) + Int(count)]
  }

  /// The integers in a tuple; nil for any other value.
  func integers(of value: PickleValue) -> [Int]? {
    guard let items = items(of: value) else { return nil }
    var integers: [Int] = []
    integers.reserveCapacity(items.count)
    for item in items {
      guard case .integer(let integer) = item else { return nil }
      integers.append(integer)
    }
    return integers
  }
}
