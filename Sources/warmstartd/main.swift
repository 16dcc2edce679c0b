import SystemPackage
import WarmstartKernel
import WarmstartServer
import WarmstartStore
import WarmstartSystemd

/// The reason for which the daemon cannot start, for people.
struct StartError: Error {
  let message: String
}

/// The sockets that the daemon listens on.
struct Listeners {
  var sockets: [(socket: Socket, endpoint: Endpoint)] = []
  /// The paths that this process made; empty if the service manager passed the sockets.
  var paths: [String] = []

  mutating func add(_ path: String, mode: UInt32, _ endpoint: Endpoint) throws(StartError) {
    sockets.append((try listen(path, mode: mode), endpoint))
    paths.append(path)
  }
}

func takeActivation() throws(StartError) -> Activation {
  do {
    return try Activation { name in ["warmstart", "admin", "metrics"].contains(name) }
  } catch {
    throw StartError(message: "cannot take the sockets that the service manager passed: \(error)")
  }
}

func makeListeners(
  _ options: Options, _ inherited: [Activation.Inherited]
) throws(StartError) -> Listeners {
  if !inherited.isEmpty {
    let sockets = try inherited.map { passed throws(StartError) -> (Socket, Endpoint) in
      guard passed.socket.isListening else {
        throw StartError(
          message: "the passed socket \(passed.name) is not a listening Unix stream socket")
      }
      do { try passed.socket.setNonBlocking() } catch {
        throw StartError(message: "cannot use the passed socket \(passed.name): \(error)")
      }
      switch passed.name {
      case "warmstart": return (passed.socket, .clients)
      case "admin": return (passed.socket, .administration)
      case "metrics": return (passed.socket, .metrics)
      default:
        throw StartError(
          message: "a passed socket is named \(passed.name), expected warmstart, admin or metrics "
            + "(FileDescriptorName= in its unit)")
      }
    }
    return Listeners(sockets: sockets)
  }
  guard let path = options.socket else {
    throw StartError(
      message: "no socket to listen on: start warmstartd.socket, or pass --socket PATH")
  }
  var listeners = Listeners()
  try listeners.add(path, mode: 0o666, .clients)
  if let path = options.adminSocket { try listeners.add(path, mode: 0o600, .administration) }
  if let path = options.metricsSocket { try listeners.add(path, mode: 0o600, .metrics) }
  return listeners
}

func listen(_ path: String, mode: UInt32) throws(StartError) -> Socket {
  do { return try Socket(listeningAt: FilePath(path), mode: mode) } catch .addressInUse {
    throw StartError(message: "another daemon listens at \(path)")
  } catch .fileExists {
    let isDirectory = (try? File.isDirectory(FilePath(path))) == true
    throw StartError(
      message: "cannot listen at \(path): it is \(isDirectory ? "a directory" : "not a socket")")
  } catch .noSuchFileOrDirectory {
    throw StartError(message: "cannot listen at \(path): its directory does not exist")
  } catch {
    throw StartError(message: "cannot listen at \(path): \(error)")
  }
}

/// The freed memory that the heap keeps: with less of it large requests take longer.
///
/// At most a sixteenth of the memory that the daemon may use; chosen, not tuned.
func keptByteCount(limit: Int) -> Int { min(32 << 20, limit / 16) }

/// The memory for arenas and indexes: the operator's choice, else half of what the daemon may use.
func budget(_ options: Options, limit: Int) -> Int {
  guard let budget = options.budget else { return limit / 2 }
  if budget > limit {
    let text =
      "the budget of \(budget >> 20) MiB is more than the \(limit >> 20) MiB of memory that the "
      + "daemon may use: it may be killed before the budget is spent"
    Log.write(LogEvent(.doubtfulSetting, text))
  }
  return budget
}

/// The first line of the log: what the daemon listens on, and its limits.
func startLine(_ listeners: Listeners, _ limits: Limits, budget: Int, linger: Int) -> String {
  // Not joined by a generic function, which would search all conformances while the first client
  // waits.
  var (endpoints, places) = ("", "")
  for (_, endpoint) in listeners.sockets {
    endpoints += endpoints.isEmpty ? "" : " and "
    let who =
      switch endpoint {
      case .clients: "clients"
      case .administration: "administrators"
      case .metrics: "monitoring systems"
      }
    endpoints += who
  }
  for path in listeners.paths { places += (places.isEmpty ? " at " : " and ") + path }
  return "version \(Daemon.version) started: listens for " + endpoints + places
    + "; at most \(limits.connections) connections, \(limits.ownConnections) for one user; "
    + "\(budget >> 20) MiB for arenas and indexes, at most three quarters for one user; "
    + "keeps unused checkpoints for \(linger) s"
}

/// How long the first clients wait for what is being restored; the rest is restored meanwhile.
///
/// Chosen, not tuned: an index of 100,000 tensors takes some 0.1 s.
let restoringMilliseconds = 10_000

/// Restores what an earlier process left, on a thread of its own because files may hang.
func restore(_ stored: [(name: String, file: File)], to store: Store) throws(Errno) {
  ServiceManager.extendTimeout(milliseconds: 2 * restoringMilliseconds)
  ServiceManager.status("restoring from \(stored.count) stored descriptors")
  let result = Monitor<Store.Restored?>(nil)
  try Thread.detach {
    let restored = store.restore(stored)
    for complaint in restored.complaints { Log.write(LogEvent(.discarded, complaint)) }
    Log.write(
      LogEvent(
        .restored, restored.summary,
        [(.count, "\(restored.checkpointCount)"), (.byteCount, "\(restored.arenaByteCount)")]))
    result.notifying { $0 = restored }
  }
  guard let restored = result.wait(until: .after(milliseconds: restoringMilliseconds), for: { $0 })
  else {
    return Log.write(
      LogEvent(.slowRestore, "still restoring what an earlier process left; serves meanwhile"))
  }
  ServiceManager.status(restored.summary)
}

func run(_ options: Options) throws(StartError) -> Bool {
  do throws(Errno) {
    // First, because threads inherit which signals are blocked.
    let signals = try Signals()
    try Process.ignoreSignalsOfFailedCalls()
    let memory = MemoryLimit()
    let memoryLimit = memory.smallest()
    Process.keepFreedMemory(upTo: keptByteCount(limit: memoryLimit))
    var limits = Limits()
    if let count = options.maxConnections { limits.connections = count }
    if let count = options.maxConnectionsPerUser { limits.connectionsPerUser = count }
    limits.fit(descriptors: try Process.raiseDescriptorLimit())
    limits.fit(memory: memoryLimit)
    let budget = budget(options, limit: memoryLimit)
    let capacity = ServiceManager.storeCapacity
    let descriptors = DescriptorStore(
      capacity: capacity, add: ServiceManager.store, remove: ServiceManager.removeStored,
      settle: ServiceManager.settle)
    let store = Store(
      budget: budget,
      lingerMilliseconds: options.lingerSeconds * 1000,
      warmFileLimit: memoryLimit / 2,
      loadsPerUser: max(2, Process.processorCount),
      available: memory.available,
      descriptors: capacity > 0 ? descriptors : nil)
    let supervisor = Daemon.Supervisor(
      ready: ServiceManager.ready, status: ServiceManager.status,
      stopping: ServiceManager.stopping, ping: ServiceManager.ping,
      pingMilliseconds: ServiceManager.watchdogMilliseconds,
      log: Log.write)
    let daemon = try Daemon(store, limits, supervisor)
    let listeners: Listeners
    let stored: [(name: String, file: File)]
    do {
      let activation = try takeActivation()
      stored = activation.stored
      listeners = try makeListeners(options, activation.inherited)
    } catch {
      fail(error.message)
    }
    let line = startLine(listeners, limits, budget: budget, linger: options.lingerSeconds)
    Log.write(
      LogEvent(.started, line, [(.version, Daemon.version), (.byteCount, "\(budget)")]))
    // Consumed: what is discarded or dropped later would stay open as long as this function runs.
    if !stored.isEmpty { try restore(consume stored, to: store) }
    var loop = MainLoop(daemon, listeners.sockets)
    let paths = listeners.paths
    let removePaths = { @Sendable in
      for path in paths { File.remove(FilePath(path)) }
    }
    let endedInTime = try loop.run(signals, cleanUp: removePaths)
    removePaths()
    return endedInTime
  } catch {
    throw StartError(message: "the kernel refused a resource that the daemon needs: \(error)")
  }
}

func fail(_ message: String, status: CInt = 1) -> Never {
  Log.write(LogEvent(.startRefused, message))
  Log.settle()
  Process.exitNow(status)
}

do throws(Options.UsageError) {
  let options = try Options(CommandLine.arguments.dropFirst())
  if options.showsHelp {
    print(Options.usage)
  } else if options.showsVersion {
    print("warmstartd \(Daemon.version)")
  } else {
    do throws(StartError) {
      let endedInTime = try run(options)
      if !endedInTime {
        Log.write(LogEvent(.stoppedLate, "cut off calls that did not end in time"))
      }
      Log.write(LogEvent(.stopped, "stopped"))
      Log.settle()
      // Threads that hang in the kernel must not keep the process alive.
      Process.exitNow(0)
    } catch {
      fail(error.message)
    }
  }
} catch {
  fail("\(error.message) (see warmstartd --help)", status: 64)
}
