internal import Foundation

/// A program that was run to its end, in an environment that is always the same.
public struct Command: Sendable {
  /// How it ended; -1 if a signal ended it.
  public let status: Int32
  /// What it wrote to standard output.
  public let output: String
  /// What it wrote to standard error.
  public let errors: String

  /// Runs a program that was built with the tests, or one at an absolute path.
  public init(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL =
      program.hasPrefix("/")
      ? URL(filePath: program) : RunningDaemon.products.appending(path: program)
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin"]
    process.standardInput = FileHandle.nullDevice
    // Files and not pipes: reading one pipe to its end could wait forever while the other is full.
    let directory = try TemporaryDirectory()
    func file(_ name: String) throws -> FileHandle {
      let path = "\(directory.path)/\(name)"
      _ = FileManager.default.createFile(atPath: path, contents: nil)
      return try FileHandle(forUpdating: URL(filePath: path))
    }
    let (output, errors) = (try file("output"), try file("errors"))
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    process.waitUntilExit()
    status = process.terminationReason == .exit ? process.terminationStatus : -1
    func text(_ file: FileHandle) throws -> String {
      try file.seek(toOffset: 0)
      return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    }
    self.output = try text(output)
    self.errors = try text(errors)
  }
}
