import SystemPackage
import WarmstartConfiguration
import WarmstartKernel
import WarmstartServer
import WarmstartStore
import WarmstartSystemd

/// Reads the command line; prints what it asks for, and then returns nil.
func readCommandLine() throws(StartError) -> Options? {
  let options: Options
  do { options = try Options(CommandLine.arguments.dropFirst()) } catch {
    throw StartError("\(error.message) (see warmstartd --help)", status: .usage)
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

func makeStore(_ limits: Limits, _ machine: Machine) -> Store {
  let capacity = ServiceManager.storeCapacity
  let descriptors = DescriptorStore(
    capacity: capacity, add: ServiceManager.store, remove: ServiceManager.removeStored,
    settle: ServiceManager.settle)
  return Store(
    limits, available: machine.memory.available, descriptors: capacity > 0 ? descriptors : nil)
}

func makeSupervisor(
  _ settings: Settings, _ machine: Machine, hasPassedSockets: Bool
) -> Daemon.Supervisor {
  Daemon.Supervisor(
    ready: ServiceManager.ready, status: ServiceManager.status,
    stopping: ServiceManager.stopping, ping: ServiceManager.ping,
    pingMilliseconds: ServiceManager.watchdogMilliseconds,
    log: Log.write, reloading: ServiceManager.reloading,
    reload: { settings.reload(machine, hasPassedSockets: hasPassedSockets) })
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
  _ settings: Settings, _ listeners: inout Listeners, _ signals: Signals
) throws(Errno) -> Bool {
  let machine = try Machine()
  let limits = machine.startLimits(settings.configuration)
  let store = makeStore(limits, machine)
  let paths = listeners.paths
  let supervisor = makeSupervisor(settings, machine, hasPassedSockets: paths.isEmpty)
  let daemon = try Daemon(store, supervisor)
  Log.write(
    LogEvent(
      .started,
      "version \(Daemon.version) started: listens for \(listeners.summary); \(limits.summary)",
      [(.version, Daemon.version), (.byteCount, "\(limits.memoryByteCount)")]))
  let stored = listeners.takeStored()
  // Consumed: what is discarded or dropped later would stay open as long as this function runs.
  if !stored.isEmpty { try restore(consume stored, to: store) }
  var loop = MainLoop(daemon, listeners.sockets)
  let removePaths = { @Sendable in
    for path in paths { File.remove(FilePath(path)) }
  }
  let endedInTime = try loop.run(signals, cleanUp: removePaths)
  removePaths()
  return endedInTime
}

/// Reads the settings, and prints which files they come from; throws if they are wrong.
///
/// The units run this after they have asked the daemon to reload, so that `systemctl reload` fails
/// if the files are wrong. It is silent then, because the daemon itself logs what is wrong.
func check(_ options: Options) throws(StartError) {
  let isSilent = Log.isJournal
  var report = ""
  var fault: StartError?
  do {
    let settings = try Settings(options) { path, isMasked in
      report += isMasked ? "masked \(path)\n" : "read \(path)\n"
    }
    // Warns of a budget that the machine does not have.
    if !isSilent, let machine = try? Machine() { _ = machine.startLimits(settings.configuration) }
  } catch {
    fault = error
  }
  if isSilent { Process.exitNow(fault?.status.rawValue ?? 0) }
  if fault == nil, report.isEmpty {
    report = "read no file: found no \(Settings.files(options).places)\n"
  }
  // Not printed: the process ends without emptying buffers.
  do { try FileDescriptor.standardOutput.writeAll(report.utf8) } catch {
    throw StartError("cannot write to standard output: \(error)")
  }
  if let fault { throw fault }
}

/// Reads the settings and serves; throws if they are wrong, or if the daemon cannot serve.
func start(_ options: Options, _ listeners: inout Listeners, _ signals: Signals) throws(StartError)
{
  if options.checks { return try check(options) }
  let settings = try Settings(options)
  try listeners.listen(settings.configuration)
  do throws(Errno) {
    let endedInTime = try run(settings, &listeners, signals)
    if !endedInTime {
      Log.write(LogEvent(.stoppedLate, "cut off calls that did not end in time"))
    }
    Log.write(LogEvent(.stopped, "stopped"))
    Log.settle()
  } catch {
    throw StartError("the kernel refused a resource that the daemon needs: \(error)")
  }
}

/// Reports why the daemon cannot start, and ends the process.
func fail(_ error: StartError, _ listeners: Listeners) -> Never {
  for message in error.messages { Log.write(LogEvent(.startRefused, message)) }
  ServiceManager.status("cannot start: \(error.messages[0])")
  if error.status != .failure {
    StartRefusal.answer(at: listeners.sockets, reason: error.messages[0])
  }
  Log.settle()
  Process.exitNow(error.status.rawValue)
}

var listeners = Listeners()
do throws(StartError) {
  let signals = try takeSignals()
  listeners = try Listeners.inherited()
  if let options = try readCommandLine() {
    try start(options, &listeners, signals)
    // Threads that hang in the kernel must not keep the process alive.
    Process.exitNow(0)
  }
} catch {
  fail(error, listeners)
}
