/// The version of a checkpoint's file format.
public enum CheckpointFormat: String, Sendable, Hashable {
  /// One table, or several: TensorFlow's first format, which holds tensors in the tables
  /// themselves.
  case v1
  /// A "tensor bundle": an index, and shards of data.
  case v2
}
