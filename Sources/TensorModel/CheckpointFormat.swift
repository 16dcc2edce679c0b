/// The format of a checkpoint's files.
///
/// The daemon tells it by the files' contents.
public enum CheckpointFormat: String, Sendable, Hashable, CaseIterable {
  /// One table, or several: TensorFlow's first format, which holds tensors in the tables
  /// themselves.
  case v1
  /// A "tensor bundle" of TensorFlow: an index, and shards of data.
  case v2
  /// Files of the library safetensors: one, or several that an index lists.
  case safetensors
  /// Files that PyTorch's `torch.save` wrote: one, or several that an index lists.
  case torch
  /// An array that NumPy wrote (`.npy`), or an archive of arrays (`.npz`).
  case numpy
  /// HDF5 files, such as Keras's weights, or archives with one.
  case hdf5

  /// The character at the end of a scope's name: `model.layers.` in files that dots divide names
  /// in, `model/layers/` in all others.
  package var separator: UInt8 {
    switch self {
    case .v1, .v2, .numpy, .hdf5: UInt8(ascii: "/")
    case .safetensors, .torch: UInt8(ascii: ".")
    }
  }
}
