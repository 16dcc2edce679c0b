internal import Foundation

/// A directory of its own for one test, removed with the value.
public final class TemporaryDirectory: Sendable {
  /// The path, without a slash at its end.
  public let path: String

  /// Makes a directory of a new name.
  public init() throws {
    path = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-\(UUID().uuidString.prefix(13))").path(percentEncoded: false)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// What this process has open or mapped whose name has the text in it, such as the path.
  public static func open(_ text: String) throws -> [String] {
    let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
    let targets = numbers.compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
    }
    return targets.filter { $0.contains(text) }
  }

  /// The files of the directory that this process has open.
  public func openFiles() throws -> [String] { try TemporaryDirectory.open(path) }

  /// Gives a file another name.
  public static func move(_ path: String, to other: String) throws {
    try FileManager.default.moveItem(atPath: path, toPath: other)
  }

  /// Removes a file.
  public static func remove(_ path: String) throws {
    try FileManager.default.removeItem(atPath: path)
  }
}

/// Numbers that look random and come again for the same seed: SplitMix64.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Starts at a seed.
  public init(seed: UInt64) {
    state = seed
  }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  /// As many bytes.
  public mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
  }

  /// A number below a bound.
  public mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}
