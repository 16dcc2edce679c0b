internal import Foundation

/// A new directory for one test, which is removed when the value ends.
public final class TemporaryDirectory: Sendable {
  /// The path, without a slash at its end.
  public let path: String

  /// Makes a directory with a new name.
  public init() throws {
    path = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-\(UUID().uuidString.prefix(13))").path(percentEncoded: false)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// The names of this process's open files that contain a text.
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
