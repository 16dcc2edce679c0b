import WarmstartClient
import WarmstartDigest

/// The model that the demo trains: BERT's layers under other names, two variables cut otherwise
/// than in the checkpoint.
enum Student {
  /// Every variable of a scope starts from the tensor of the same name in the other scope.
  static let map: AssignmentMap = [
    "bert/embeddings/": "student/embeddings/",
    "bert/encoder/": "student/encoder/",
  ]

  /// The variables, as a trainer declares them.
  static func variables() throws(WarmstartError) -> [Variable] {
    // The checkpoint stores four pieces, so these three cross their borders.
    var variables = try Partitioner.fixedSize(shards: 3).partitions(
      of: "student/embeddings/word_embeddings", dtype: .float32, shape: [8192, 256])
    variables.append(
      Variable("student/embeddings/position_embeddings", dtype: .float32, shape: [512, 256]))
    for part in ["embeddings", "encoder/layer_0", "encoder/layer_1"] {
      variables.append(
        Variable("student/\(part)/LayerNorm/gamma", dtype: .float32, shape: [256]))
      variables.append(
        Variable("student/\(part)/LayerNorm/beta", dtype: .float32, shape: [256]))
    }
    for layer in ["encoder/layer_0", "encoder/layer_1"] {
      for head in ["query", "key", "value"] {
        let scope = "student/\(layer)/attention/\(head)"
        variables.append(Variable("\(scope)/kernel", dtype: .float32, shape: [256, 256]))
        variables.append(Variable("\(scope)/bias", dtype: .float32, shape: [256]))
      }
    }
    // Columns, which lie scattered in any file.
    variables += try Partitioner.fixedSize(shards: 2, axis: 1).partitions(
      of: "student/encoder/layer_0/output/kernel", dtype: .float32, shape: [1024, 256])
    return variables
  }

  /// A checksum of each tensor of the checkpoint, put together from its partitions if it was cut.
  static func checksums(_ tensors: Tensors) -> [(tensor: Name, digest: String)] {
    var checksums: [(tensor: Name, digest: String)] = []
    var rest = tensors[...]
    while let first = rest.first {
      let parts = rest.prefix { $0.tensor == first.tensor }
      checksums.append((first.tensor, checksum(Array(parts))))
      rest = rest.dropFirst(parts.count)
    }
    return checksums
  }

  /// The checksum of one tensor; its partitions are given in their order.
  private static func checksum(_ parts: [Tensor]) -> String {
    // Axes before the one that was cut: on each of their indices the partitions take turns.
    let lengths = parts[0].variable.partition?.fullShape.lengths ?? []
    let cut = lengths.indices.first { lengths[$0] != parts[0].shape.lengths[$0] } ?? 0
    let turns = lengths.prefix(cut).reduce(1, *)
    var bytes: [UInt8] = []
    for turn in 0..<turns {
      for part in parts {
        let all = Span<UInt8>(_bytes: part.bytes)
        let count = all.count / turns
        for index in turn * count..<(turn + 1) * count { bytes.append(all[index]) }
      }
    }
    return sha256(bytes)
  }
}
