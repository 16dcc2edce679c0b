import FoundationEssentials
import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartLocate

/// A directory for one test, removed with the value.
final class Scratch {
  let path: String

  init() throws {
    let unique = UUID().uuidString
    path = FilePath(FileManager.default.temporaryDirectory.path).appending(unique).string
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// The path of a name in the directory, to the byte.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes files, and the directories that they lie in.
  func write(_ names: String..., bytes: [UInt8] = []) throws {
    for name in names {
      let file = FilePath(self(name))
      if name.utf8.contains(UInt8(ascii: "/")) {
        try FileManager.default.createDirectory(
          atPath: file.removingLastComponent().string, withIntermediateDirectories: true)
      }
      let span = bytes.span
      // Any bytes of UInt8s are bytes.
      try File(creating: file).write(unsafe span.bytes)
    }
  }

  /// Writes a state file.
  func writeState(_ text: String, in directory: String = "") throws {
    try write(directory.isEmpty ? "checkpoint" : "\(directory)/checkpoint", bytes: Array(text.utf8))
  }

  /// Makes a FIFO without a writer.
  func makeFIFO(_ name: String) {
    let result = unsafe mkfifo(self(name), 0o600)
    precondition(result == 0)
  }

  /// The files that this process has open below the directory.
  func openFiles() throws -> [String] {
    let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
    let targets = descriptors.compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
    }
    return targets.filter { $0.hasPrefix(path) }
  }
}

/// Locates a checkpoint that must not be found, and returns why.
func refusal(of path: String) throws -> LocateError {
  try #require(#expect(throws: LocateError.self) { try CheckpointFiles.locate(path) })
}

/// The checkpoints that TensorFlow wrote.
enum Golden {
  /// A path among them.
  static func path(_ name: String) -> String {
    FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
      .appending("Data/Golden").appending(name).string
  }

  /// The result of `tf.train.latest_checkpoint` for a directory.
  struct State: Decodable {
    let path: String
    let latest: String?
    let error: String?
  }

  /// All state directories, in order of their names.
  static let states: Result<[State], any Error> = Result {
    struct Expected: Decodable {
      let states: [String: State]
    }
    let bytes = try File(opening: FilePath(path("expected.json"))).readAll(limit: 16 << 20)
    let expected = try JSONDecoder().decode(Expected.self, from: Data(bytes ?? []))
    return expected.states.values.sorted { $0.path < $1.path }
  }
}
