public import Foundation

/// The checkpoints that real TensorFlow wrote, and the values that it reads: `Tests/Data/Golden`.
public struct Golden: Decodable, Sendable {
  /// One checkpoint.
  public struct Checkpoint: Decodable, Sendable {
    /// The path below the folder.
    public let path: String
    /// `v1` or `v2`.
    public let format: String
    /// The tensors by name.
    public let tensors: [String: Tensor]
    /// The slices by the tensor that they are read from.
    public let slices: [String: [Read]]?
  }

  /// A tensor as TensorFlow reads it.
  public struct Tensor: Decodable, Sendable {
    /// TensorFlow's name of the element type.
    public let dtype: String
    /// The lengths of the axes.
    public let shape: [Int]
    /// The digest of the bytes in C order, little-endian; nil for strings.
    public let sha256: String?
    /// The elements of a string tensor.
    public let base64: [String]?
  }

  /// A slice as the RestoreV2 op reads it.
  public struct Read: Decodable, Sendable {
    /// TensorFlow's `shape_and_slice`; empty for the whole tensor.
    public let spec: String
    /// The lengths of the axes.
    public let shape: [Int]?
    /// The digest of the bytes in C order, little-endian; nil for strings.
    public let sha256: String?
    /// The elements of a string tensor.
    public let base64: [String]?
    /// The class of the error that TensorFlow raises.
    public let error: String?
  }

  /// The checkpoints by their id.
  public let checkpoints: [String: Checkpoint]

  /// The folder of a test's own checkout.
  public static let folder = repository.appending(path: "Tests/Data/Golden")

  /// The root of the test's own checkout.
  public static let repository = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The path of a checkpoint below the folder.
  public static func path(_ relative: String) -> String {
    folder.path(percentEncoded: false) + "/" + relative
  }

  /// Reads the expected values.
  public static func load(_ relative: String = "expected.json") throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: Data(contentsOf: URL(filePath: path(relative))))
  }
}
