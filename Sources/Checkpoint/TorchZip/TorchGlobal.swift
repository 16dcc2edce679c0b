import WarmstartTensorModel

/// A class or function that a pickle may name.
///
/// The list is closed. A name outside it is refused, because it may stand for a tensor in a way
/// that the reader does not know.
enum TorchGlobal {
  /// `torch._utils._rebuild_tensor_v2`, or `_v3` with a dtype: a view of a storage.
  case rebuildTensor(version: Int)
  /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`: a tensor to be trained.
  case rebuildParameter
  /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes of its own.
  case rebuildFromType
  /// A function that makes a tensor which is not a view of one storage.
  case rebuildOther(OtherTensor)
  /// `torch.Tensor`, and the subclasses that have the same bytes.
  case tensorClass
  /// A class of storages, or `torch.storage.UntypedStorage`.
  case storageClass(TorchDtype, isTyped: Bool)
  case dtype(TorchDtype)
  /// `torch.Size`: a tuple of integers.
  case size
  /// A class of dictionaries.
  case dictionaryClass
  /// A class or function whose objects are not tensors and hold none; they are skipped.
  case harmless

  /// Tensors that are not views of one storage.
  enum OtherTensor: String {
    case sparse = "a sparse tensor: save tensor.to_dense()"
    case quantized = "a quantized tensor: save tensor.int_repr(), or tensor.dequantize()"
    case meta = "on the device meta and has no bytes: save it from a device with memory"
    case nested = "a nested tensor: save its parts"
  }

  /// The longest module or name that is compared.
  private static let maximumByteCount = 256

  /// Finds a class or function.
  ///
  /// - Throws: `unsupported` with the full name, if it is not in the list.
  init(_ module: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) throws(IndexError) {
    let full = [module, name].map {
      String(decoding: $0.prefix(TorchGlobal.maximumByteCount), as: UTF8.self)
    }
    guard let found = TorchGlobal(full[0], full[1]) else {
      let name = (full[0] + "." + full[1]).printableHead
      throw .unsupported(
        "has a pickle with \(name), which Warmstart does not execute: save only tensors, numbers "
          + "and strings, such as model.state_dict()")
    }
    self = found
  }

  private init?(_ module: String, _ name: String) {
    switch (module, name) {
    case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor(version: 2)
    case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTensor(version: 3)
    case ("torch._utils", "_rebuild_parameter"),
      ("torch._utils", "_rebuild_parameter_with_state"):
      self = .rebuildParameter
    case ("torch._tensor", "_rebuild_from_type_v2"): self = .rebuildFromType
    case ("torch._utils", "_rebuild_sparse_tensor"),
      ("torch._utils", "_rebuild_sparse_csr_tensor"):
      self = .rebuildOther(.sparse)
    case ("torch._utils", "_rebuild_qtensor"): self = .rebuildOther(.quantized)
    case ("torch._utils", "_rebuild_meta_tensor_no_storage"): self = .rebuildOther(.meta)
    case ("torch._utils", "_rebuild_nested_tensor"): self = .rebuildOther(.nested)
    case ("torch", "Tensor"), ("torch.nn.parameter", "Parameter"),
      ("torch.nn.parameter", "Buffer"):
      self = .tensorClass
    case ("torch", "Size"): self = .size
    case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"):
      self = .storageClass(.untyped, isTyped: false)
    case ("collections", "OrderedDict"), ("collections", "defaultdict"), ("builtins", "dict"),
      ("__builtin__", "dict"):
      self = .dictionaryClass
    case ("torch", _):
      if let dtype = TorchDtype(storage: name) {
        self = .storageClass(dtype, isTyped: true)
      } else if let dtype = TorchDtype(rawValue: name) {
        self = .dtype(dtype)
      } else if TorchGlobal.harmlessNames["torch"]?.contains(name) == true {
        self = .harmless
      } else {
        return nil
      }
    default:
      guard TorchGlobal.harmlessNames[module]?.contains(name) == true else { return nil }
      self = .harmless
    }
  }

  /// Names by module.
  ///
  /// Python 2 called the module `builtins` `__builtin__`, and so do the protocols up to 2.
  private static let harmlessNames: [String: Set<String>] = {
    let numbers: Set<String> = [
      "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
      "float32", "float64", "complex64", "complex128", "str_", "bytes_",
    ]
    let builtins: Set<String> = [
      "bool", "int", "float", "complex", "str", "bytes", "bytearray", "list", "tuple", "set",
      "frozenset", "range", "slice", "object",
    ]
    let multiarray: Set<String> = ["_reconstruct", "scalar"]
    let attributes: Set<String> = ["AttributeDict"]
    return [
      "builtins": builtins, "__builtin__": builtins,
      "_codecs": ["encode"],
      "collections": ["Counter"],
      "argparse": ["Namespace"],
      "datetime": ["datetime", "date", "time", "timedelta", "timezone"],
      "pathlib": ["Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath"],
      "pathlib._local": ["Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath"],
      "types": ["SimpleNamespace"],
      "numpy": numbers.union(["dtype", "ndarray"]),
      "numpy.core.multiarray": multiarray, "numpy._core.multiarray": multiarray,
      "numpy.core.numeric": ["_frombuffer"], "numpy._core.numeric": ["_frombuffer"],
      "torch": [
        "device", "strided", "sparse_coo", "contiguous_format", "channels_last", "preserve_format",
        "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine",
        "per_channel_symmetric", "per_channel_affine_float_qparams",
      ],
      "torch.serialization": ["_get_layout"],
      "torch.torch_version": ["TorchVersion"],
      "lightning.fabric.utilities.data": attributes,
      "lightning_fabric.utilities.data": attributes,
      "lightning.pytorch.utilities.parsing": attributes,
      "pytorch_lightning.utilities.parsing": attributes,
    ]
  }()
}

extension String {
  /// The text for a message: printable, and cut after some characters.
  fileprivate var printableHead: String {
    count <= 200 ? printable : String(prefix(200)).printable + "…"
  }
}
