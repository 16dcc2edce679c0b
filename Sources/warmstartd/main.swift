import SystemPackage
import WarmstartConfiguration
import WarmstartKernel
import WarmstartServer
import WarmstartStore
import WarmstartSystemd

/// The reason for which the daemon cannot start, for people.
struct StartError: Error {
  let message: String
  /// The exit status.
  let status: CInt

  init(_ message: String, status: CInt = 1) {
    self.message = message
    self.status = status
  }
}

/// Reads the command line; prints what it asks for, and then returns nil.
func readCommandLine() throws(StartError) -> Options? {
  let options: Options
  do { options = try Options(CommandLine.arguments.dropFirst()) } catch {
    throw StartError("\(error.message) (see warmstartd --help)", status: 64)
  }
  if options.showsHelp {
    print(Options.help, terminator: "")
  } else if options.showsVersion {
    print("warmstartd \(Daemon.version)")
  } else {
    return options
  }
  return nil
}

func readConfiguration(_ options: Options) throws(StartError) -> Configuration {
  do { return try Configuration(options.assignments) } catch {
    throw StartError("\(error.problems[0]) (see warmstartd --help)", status: 64)
  }
}

func makeStore(_ limits: Limits, _ machine: Machine) -> Store {
  let capacity = ServiceManager.storeCapacity
  let descriptors = DescriptorStore(
    capacity: capacity, add: ServiceManager.store, remove: ServiceManager.removeStored,
    settle: ServiceManager.settle)
  return Store(
    limits, available: machine.memory.available, descriptors: capacity > 0 ? descriptors : nil)
}

func makeSupervisor() -> Daemon.Supervisor {
  Daemon.Supervisor(
    ready: ServiceManager.ready, status: ServiceManager.status,
    stopping: ServiceManager.stopping, ping: ServiceManager.ping,
    pingMilliseconds: ServiceManager.watchdogMilliseconds,
    log: Log.write)
}

/// Blocks the signals that the main loop takes; first of all, because threads inherit that.
func takeSignals() throws(StartError) -> Signals {
  do throws(Errno) {
    try Process.ignoreSignalsOfFailedCalls()
    return try Signals()
  } catch {
    throw StartError("the kernel refused to pass signals by a descriptor: \(error)")
  }
}

/// Serves until a signal says stop; returns whether all calls ended in time.
func run(
  _ configuration: Configuration, _ listeners: inout Listeners, _ signals: Signals
) throws(Errno) -> Bool {
  let machine = try Machine()
  let limits = machine.limits(configuration)
  let store = makeStore(limits, machine)
  let daemon = try Daemon(store, makeSupervisor())
  Log.write(
    LogEvent(
      .started,
      "version \(Daemon.version) started: listens for \(listeners.summary); \(limits.summary)",
      [(.version, Daemon.version), (.byteCount, "\(limits.memoryByteCount)")]))
  let stored = listeners.takeStored()
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
}

do throws(StartError) {
  if let options = try readCommandLine() {
    let signals = try takeSignals()
    let configuration = try readConfiguration(options)
    var listeners = try Listeners.inherited()
    try listeners.listen(configuration)
    do throws(Errno) {
      let endedInTime = try run(configuration, &listeners, signals)
      if !endedInTime {
        Log.write(LogEvent(.stoppedLate, "cut off calls that did not end in time"))
      }
      Log.write(LogEvent(.stopped, "stopped"))
    } catch {
      throw StartError("the kernel refused a resource that the daemon needs: \(error)")
    }
    Log.settle()
    // Threads that hang in the kernel must not keep the process alive.
    Process.exitNow(0)
  }
} catch {
  Log.write(LogEvent(.startRefused, error.message))
  Log.settle()
  Process.exitNow(error.status)
}
