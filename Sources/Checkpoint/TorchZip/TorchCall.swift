import WarmstartTensorModel

/// What the pickle's calls of classes and functions mean.
extension PickleMachine {
  /// The most arguments of a call; chosen, not tuned.
  private static let maximumArgumentCount = 64

  /// Does what a call of a function would do: `function(*arguments)`.
  mutating func call(
    _ function: PickleValue, _ arguments: PickleValue
  ) throws(IndexError) -> PickleValue {
    guard case .global(let global) = function, let items = heap.items(of: arguments) else {
      throw bytes.malformed(
        "has a call of \(function.kind) with \(arguments.kind), "
          + "expected a function and a tuple")
    }
    // One instruction makes one call, so that a call must not take long.
    guard items.count <= Self.maximumArgumentCount else {
      throw bytes.malformed(
        "has a call with \(items.count) arguments, expected at most \(Self.maximumArgumentCount)")
    }
    switch global {
    case .rebuildTensor(let version): return try view(version, Array(items))
    case .rebuildParameter:
      guard case .tensor = items.first else {
        throw bytes.malformed(
          "has a parameter that is made from \(items.first?.kind ?? "nothing"), expected a tensor")
      }
      return items[items.startIndex]
    case .rebuildFromType:
      // Its arguments are the function to call, the class, and the function's arguments.
      let items = Array(items)
      guard items.count >= 3, case .global(.tensorClass) = items[1],
        case .global(let inner) = items[0], inner.makesTensors
      else {
        throw bytes.malformed(
          "has a tensor with attributes that is made from other arguments, expected a function "
            + "that makes tensors, the class of tensors or parameters, and a tuple")
      }
      return try call(items[0], items[2])
    case .rebuildOther(let kind): return try other(kind, Array(items))
    case .size:
      guard items.count == 1, let lengths = items.first, heap.items(of: lengths) != nil else {
        throw bytes.malformed("has a call of torch.Size with other arguments, expected a tuple")
      }
      return lengths
    case .dictionaryClass, .harmless: return try make(function, arguments)
    case .tensorClass, .storageClass, .dtype:
      throw .unsupported(
        "has a pickle that calls a class of tensors or storages: save it with torch.save of "
          + "version 1.6 or later")
    }
  }

  /// Makes an object of a class: `class.__new__(class, *arguments)`.
  mutating func make(
    _ type: PickleValue, _ arguments: PickleValue
  ) throws(IndexError) -> PickleValue {
    guard case .global(let global) = type, let items = heap.items(of: arguments) else {
      throw bytes.malformed(
        "has an object of \(type.kind) that is made from \(arguments.kind), "
          + "expected a class and a tuple")
    }
    switch global {
    case .dictionaryClass:
      // defaultdict takes a class; contents would be another argument.
      guard items.count <= 2 else {
        throw bytes.malformed("has a dictionary that is made from \(items.count) arguments")
      }
      for item in items {
        if case .global = item { continue }
        if case .opaque = item { continue }
        throw .unsupported(
          "has a dictionary that is made with its contents: convert it by dict(), and save it")
      }
      return try dictionary()
    case .harmless: return .opaque
    default:
      throw bytes.malformed("has a function in place of the class of an object")
    }
  }

  /// Checks that an object may get attributes, which are skipped.
  ///
  /// `state_dict()` returns an `OrderedDict` with an attribute `_metadata`.
  func checkState(of object: PickleValue) throws(IndexError) {
    switch object {
    case .dictionary, .opaque: return
    default:
      throw bytes.malformed("has attributes of \(object.kind), expected those of an object")
    }
  }

  /// Makes a view of a storage, as `torch._utils._rebuild_tensor_v2` and `_v3` do.
  private mutating func view(
    _ version: Int, _ arguments: [PickleValue]
  ) throws(IndexError) -> PickleValue {
    // The arguments: storage, offset, shape, strides, two that do not matter, the dtype in version
    // 3, and perhaps metadata.
    let metadata = version + 4
    guard arguments.count == metadata || arguments.count == metadata + 1,
      case .storage(let number) = arguments[0], case .integer(let offset) = arguments[1],
      case .tuple = arguments[2], case .tuple = arguments[3]
    else {
      throw bytes.malformed(
        "has a tensor with other arguments than torch._utils._rebuild_tensor_v\(version) takes")
    }
    let storage = heap.storages[Int(number)]
    var dtype = storage.dtype
    if version == 3 {
      guard !storage.isTyped, case .global(.dtype(let given)) = arguments[6] else {
        throw bytes.malformed("has a tensor without a dtype, expected one, and a storage without")
      }
      dtype = given
    }
    let view = TorchView(
      storage: number, dtype: dtype, offset: offset, shape: arguments[2], strides: arguments[3])
    if arguments.count > metadata, try hasMetadata(arguments[metadata]) {
      return try tensor(.conjugated(view))
    }
    return try tensor(.view(view))
  }

  /// Makes a tensor that is no view of one storage, with the shape and the dtype that its arguments
  /// say: those of the functions in `torch._utils`.
  private mutating func other(
    _ kind: TorchGlobal.OtherTensor, _ arguments: [PickleValue]
  ) throws(IndexError) -> PickleValue {
    var shape = PickleValue.opaque
    var dtype: TorchDtype?
    switch kind {
    case .sparse:
      // The layout, and a tuple of indices, values, shape, and perhaps more.
      let parts = arguments.count > 1 ? heap.items(of: arguments[1]) ?? [] : []
      for part in parts {
        switch part {
        case .tuple: shape = part
        // The values are the last of the tensors.
        case .tensor(let number):
          if case .view(let values) = heap.tensors[Int(number)] { dtype = values.dtype }
        default: break
        }
      }
    case .quantized:
      // The storage, the offset in it, the shape, and more.
      if arguments.count > 2 { shape = arguments[2] }
    case .meta:
      // The dtype, the shape, and more.
      if arguments.count > 1 { shape = arguments[1] }
      if case .global(.dtype(let given))? = arguments.first { dtype = given }
    // Its parts have a shape each.
    case .nested: break
    }
    return try tensor(.other(kind, shape, dtype))
  }

  /// Whether the metadata of a tensor says that its elements are not what its storage has.
  private func hasMetadata(_ value: PickleValue) throws(IndexError) -> Bool {
    switch value {
    case .opaque: return false
    case .dictionary(let number): return !heap.containers[Int(number)].isEmpty
    default:
      throw bytes.malformed("has \(value.kind) as the metadata of a tensor, expected a dictionary")
    }
  }

  private mutating func tensor(_ tensor: TorchTensor) throws(IndexError) -> PickleValue {
    try pay(2 * MemoryLayout<TorchTensor>.stride)
    heap.tensors.append(tensor)
    return .tensor(UInt32(heap.tensors.count - 1))
  }
}

extension TorchGlobal {
  /// Whether the function makes a tensor in itself.
  fileprivate var makesTensors: Bool {
    switch self {
    case .rebuildTensor, .rebuildParameter, .rebuildOther: true
    default: false
    }
  }
}
