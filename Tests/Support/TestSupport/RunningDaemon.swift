public import Foundation

/// A real `warmstartd` process on a socket of its own, in a directory of its own.
///
/// Foundation's Process is not Sendable, but only this class uses it.
public final class RunningDaemon: @unchecked Sendable {
  /// Why a daemon could not be used.
  public struct Failure: Error, CustomStringConvertible {
    /// What went wrong.
    public let description: String
  }

  /// Where it listens.
  public let socketPath: String
  /// A directory for the test's files, removed with the daemon.
  public let directory: URL
  private let process = Process()

  /// Starts the daemon that was built with the tests and waits until it can be connected to.
  ///
  /// - Parameters:
  ///   - arguments: options for the daemon, after its socket.
  ///   - tool: a command, for example a tracer, that runs the daemon in its own process.
  ///   - program: another build of the daemon.
  ///   - isHeard: whether the daemon's log goes to this process's standard error.
  /// - Throws: `Failure` if the daemon ends before it listens.
  public init(
    _ arguments: [String] = [], under tool: [String] = [], program: URL? = nil,
    isHeard: Bool = true
  ) throws {
    directory = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    socketPath = directory.appending(path: "s").path(percentEncoded: false)
    let program = program ?? RunningDaemon.products.appending(path: "warmstartd")
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments =
      tool + [program.path(percentEncoded: false), "--socket", socketPath] + arguments
    if !isHeard { process.standardError = FileHandle.nullDevice }
    try process.run()
    // The socket has a name a moment before the daemon listens on it.
    for _ in 0..<6000 {
      if isListening() { return }
      guard process.isRunning else { throw Failure(description: "the daemon ended at once") }
      Thread.sleep(forTimeInterval: 0.01)
    }
    throw Failure(description: "the daemon does not listen after a minute")
  }

  private func isListening() -> Bool {
    let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(connection) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8) }
    return withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }

  /// The process's id.
  public var processID: Int { Int(process.processIdentifier) }

  /// Whether the process has not ended.
  public var isRunning: Bool { process.isRunning }

  /// The descriptors that the daemon has open.
  public func descriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(processID)/fd").count
  }

  /// What each descriptor of the daemon refers to, for messages of tests.
  public func descriptors() -> [String] {
    let folder = "/proc/\(processID)/fd/"
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return numbers.compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0)
    }
  }

  /// The threads that the daemon has.
  public func threadCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(processID)/task").count
  }

  /// The daemon's resident memory that belongs to no file, in bytes.
  public func memoryByteCount() throws -> Int {
    try ProcessMemory.byteCount("RssAnon", ofProcess: "\(processID)")
  }

  /// Waits until a number is at most a bound, or for 20 s; returns the number.
  public func settled(atMost bound: Int, _ number: () throws -> Int) rethrows -> Int {
    // Sanitized daemons take their time on a busy machine.
    for _ in 0..<2000 {
      if try number() <= bound { break }
      Thread.sleep(forTimeInterval: 0.01)
    }
    return try number()
  }

  /// Waits until the daemon has at most a number of descriptors; returns how many it has.
  public func settledDescriptorCount(atMost count: Int) throws -> Int {
    try settled(atMost: count, descriptorCount)
  }

  /// Stops the daemon by SIGTERM; returns its exit status.
  public func stop() -> Int32 {
    process.terminate()
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : -1
  }

  deinit {
    if process.isRunning { _ = stop() }
    try? FileManager.default.removeItem(at: directory)
  }

  /// The folder of the built programs, which is the test bundle's.
  public static let products: URL = {
    let program = URL(filePath: CommandLine.arguments[0])
    let bundle = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return (bundle.map { URL(filePath: $0) } ?? program).deletingLastPathComponent()
  }()
}

/// What the kernel counts about a process's memory.
public enum ProcessMemory {
  /// A line of a process's status, in bytes.
  ///
  /// See `proc(5)`, VmSize and those after it.
  public static func byteCount(_ line: String, ofProcess id: String = "self") throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
    let words = status.split(separator: "\n").first { $0.hasPrefix("\(line):") } ?? ""
    return (Int(words.filter(\.isNumber)) ?? 0) * 1024
  }

  /// Resets `VmHWM`, which is then the most resident memory from now on.
  ///
  /// See `proc(5)`, clear_refs.
  public static func forgetPeak() throws {
    try Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
  }

  /// Whether this process was built with a sanitizer, each of which reserves terabytes.
  public static let isSanitized = (try? byteCount("VmSize")).map { $0 > 1 << 40 } ?? false
}
