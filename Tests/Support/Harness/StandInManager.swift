internal import CWarmstartLinux
public import Foundation
internal import WarmstartKernel
internal import WarmstartTestSupport

/// A service manager as far as `warmstartd` needs one: it listens for the daemon, keeps descriptors
/// by name, and passes both to each process that it starts.
///
/// Foundation's types are not Sendable, but only this class uses them.
public final class StandInManager: @unchecked Sendable {
  /// Why the daemon could not be started.
  public struct Failure: Error {}

  private struct State {
    var files: [(name: String, file: File)] = []
    var isReady = false
    var statuses: [String] = []
    /// How often the daemon reported that it reloads, and that it is ready.
    var reloadCount = 0
    var readyCount = 0
    var isEnding = false
  }

  /// Where the daemon listens for clients.
  public let socketPath: String
  /// Where the daemon listens for administrators.
  public let administrationPath: String
  private let directory = FileManager.default.temporaryDirectory
    .appending(path: "warmstart-\(UUID().uuidString.prefix(8))")
  private let listener: Socket
  private let administration: Socket
  private let notifications: Socket
  private let state = Monitor(State())
  private var process: pid_t = 0

  /// Listens for the daemon and for its notifications; starts nothing.
  public init() throws {
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    socketPath = directory.appending(path: "s").path(percentEncoded: false)
    listener = try Socket(listeningAt: .init(socketPath), mode: 0o600)
    administrationPath = directory.appending(path: "admin").path(percentEncoded: false)
    administration = try Socket(listeningAt: .init(administrationPath), mode: 0o600)
    let path = directory.appending(path: "notify").path(percentEncoded: false)
    notifications = try StandInManager.datagrams(at: path)
    try Thread.detach { [state, notifications] in
      StandInManager.receive(notifications, state)
    }
  }

  private static func datagrams(at path: String) throws -> Socket {
    let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let failed = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard failed == 0 else { throw Failure() }
    return Socket(Descriptor(adopting: number))
  }

  // MARK: Notifications

  private static func receive(_ notifications: Socket, _ state: Monitor<State>) {
    while !state.withLock({ $0.isEnding }) {
      guard
        (try? Poll.wait(
          for: .readable, of: notifications.descriptor, until: .after(milliseconds: 50)))
          != nil
      else { continue }
      var bytes = [UInt8](repeating: 0, count: 4096)
      // A barrier ends when its descriptor is closed, which is at the end of the loop's body.
      var files: [File] = []
      guard
        let count = try? notifications.receive(
          into: &bytes, range: 0..<bytes.count, descriptors: &files, waiting: false)
      else { continue }
      note(String(decoding: bytes.prefix(count), as: UTF8.self), files, state)
    }
  }

  private static func note(_ text: String, _ files: [File], _ state: Monitor<State>) {
    let lines = text.split(separator: "\n").map { String($0) }
    let name = lines.first { $0.hasPrefix("FDNAME=") }.map { String($0.dropFirst(7)) } ?? "stored"
    state.notifying { state in
      if lines.contains("FDSTORE=1") { state.files += files.map { (name, $0) } }
      if lines.contains("FDSTOREREMOVE=1") { state.files.removeAll { $0.name == name } }
      if lines.contains("READY=1") {
        state.isReady = true
        state.readyCount += 1
      }
      if lines.contains("RELOADING=1"), lines.contains(where: { $0.hasPrefix("MONOTONIC_USEC=") }) {
        state.reloadCount += 1
        state.isReady = false
      }
      state.statuses += lines.filter { $0.hasPrefix("STATUS=") }.map { String($0.dropFirst(7)) }
    }
  }

  /// The names of what the daemon stored, in order.
  public var names: [String] { state.withLock { $0.files.map(\.name).sorted() } }

  /// The lines that the daemon reported since the start of the process.
  public var statuses: [String] { state.withLock { $0.statuses } }

  /// Waits until the names of what is stored are as wanted; returns whether they are.
  public func waitForNames(_ areWanted: ([String]) -> Bool) -> Bool {
    state.wait(until: .after(milliseconds: 20_000)) { state in
      areWanted(state.files.map(\.name).sorted()) ? true : nil
    } ?? false
  }

  /// Sends SIGHUP, and waits until the daemon has reported that it reloads and then that it is
  /// ready; returns whether it has.
  public func reload() -> Bool {
    let before = state.withLock { ($0.reloadCount, $0.readyCount) }
    kill(process, SIGHUP)
    return state.wait(until: .after(milliseconds: 20_000)) { state in
      state.isReady && state.reloadCount > before.0 && state.readyCount > before.1 ? true : nil
    } ?? false
  }

  /// The lines of the daemon's log since the manager was made.
  public var log: [String] {
    let text = (try? String(contentsOf: directory.appending(path: "log"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map { String($0) }
  }

  // MARK: The process

  /// Starts the daemon, and waits until it is ready.
  ///
  /// - Parameters:
  ///   - arguments: Options for the daemon.
  ///   - extra: Files that the daemon finds in its descriptor store, beside what it stored itself.
  ///   - passesSockets: Whether the daemon gets the manager's sockets; else it makes its own.
  /// - Throws: `Failure` if the daemon ends before it is ready.
  public func start(
    _ arguments: [String] = [], extra: [(name: String, path: String)] = [],
    passesSockets: Bool = true
  ) throws {
    try launch(arguments, extra, passesSockets: passesSockets)
    let isReady = state.wait(until: .after(milliseconds: 60_000)) { $0.isReady ? true : nil }
    guard isReady == true else { throw Failure() }
  }

  /// Starts the daemon and waits for its end; returns its exit status.
  public func exitStatus(_ arguments: [String]) throws -> Int32 {
    try launch(arguments, [], passesSockets: true)
    return wait()
  }

  private func launch(
    _ arguments: [String], _ extra: [(name: String, path: String)], passesSockets: Bool
  ) throws {
    let sockets = passesSockets ? [("warmstart", listener), ("admin", administration)] : []
    var passed: [(name: String, file: File)] = state.withLock { $0.files }
    for (name, path) in extra { passed.append((name, try File(opening: .init(path)))) }
    state.withLock { ($0.isReady, $0.statuses) = (false, []) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Out of the way of the numbers that the daemon expects.
    let numbers =
      (sockets.map { $0.1.descriptor.borrowedNumber() }
      + passed.map { $0.file.descriptor.borrowedNumber() })
      .map { fcntl($0, F_DUPFD_CLOEXEC, 500) }
    defer { for number in numbers { close(number) } }
    for (position, number) in numbers.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, number, Int32(3 + position))
    }
    let program = RunningDaemon.products.appending(path: "warmstartd").path(percentEncoded: false)
    var environment = ProcessInfo.processInfo.environment
    environment["NOTIFY_SOCKET"] = directory.appending(path: "notify").path(percentEncoded: false)
    if !numbers.isEmpty {
      environment["LISTEN_FDS"] = "\(numbers.count)"
      environment["LISTEN_FDNAMES"] = (sockets.map(\.0) + passed.map(\.name)).joined(separator: ":")
    }
    let log = directory.appending(path: "log").path(percentEncoded: false)
    // The shell knows the process's id, which the daemon compares.
    let command =
      ["sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 2>>'\(log)'", program] + arguments
    process = try StandInManager.spawn(command, environment, &actions)
  }

  private static func spawn(
    _ command: [String], _ environment: [String: String],
    _ actions: inout posix_spawn_file_actions_t
  ) throws -> pid_t {
    var arguments = command.map { strdup($0) } + [nil]
    var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var process: pid_t = 0
    guard posix_spawn(&process, "/bin/sh", &actions, nil, &arguments, &variables) == 0 else {
      throw Failure()
    }
    return process
  }

  /// Sends the daemon a signal, and waits for its end.
  public func end(_ signal: Int32 = SIGKILL) {
    guard process > 0 else { return }
    kill(process, signal)
    _ = wait()
  }

  /// Waits for the end of the process; returns its exit status.
  private func wait() -> Int32 {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    process = 0
    return status >> 8 & 0xff
  }

  /// The descriptors that the daemon has open.
  public func descriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
  }

  /// Waits until what the daemon has open is as wanted; returns whether it is.
  ///
  /// - Parameter areWanted: Gets the names that the kernel gives to the open files.
  public func waitForOpenFiles(_ areWanted: ([String]) -> Bool) -> Bool {
    let folder = "/proc/\(process)/fd/"
    for _ in 0..<400 {
      let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      let files = numbers.compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0)
      }
      if !files.isEmpty, areWanted(files) { return true }
      usleep(50_000)
    }
    return false
  }

  deinit {
    end()
    state.withLock { $0.isEnding = true }
    try? FileManager.default.removeItem(at: directory)
  }
}
