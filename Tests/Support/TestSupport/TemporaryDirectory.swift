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
