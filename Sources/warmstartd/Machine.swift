import SystemPackage
import WarmstartConfiguration
import WarmstartKernel
import WarmstartStore
import WarmstartSystemd

/// What this process may use of the machine, from which limits follow.
struct Machine: Sendable {
  let memory = MemoryLimit()
  /// The memory that the daemon might use when it started.
  ///
  /// Read once, because the first client waits for it.
  private let startMemory: Int
  private let descriptorCount: Int

  /// Raises the limit of descriptors, and keeps little freed memory.
  init() throws(Errno) {
    startMemory = memory.smallest()
    Process.keepFreedMemory(upTo: Machine.keptByteCount(limit: startMemory))
    descriptorCount = try Process.raiseDescriptorLimit()
  }

  /// The freed memory that the heap keeps: with less of it large requests take longer.
  ///
  /// At most a sixteenth of the memory that the daemon may use; chosen, not tuned.
  private static func keptByteCount(limit: Int) -> Int { min(32 << 20, limit / 16) }

  /// The limits with which the daemon starts; warns of a budget that does not fit.
  func startLimits(_ configuration: Configuration) -> Limits {
    limits(configuration, memory: startMemory)
  }

  /// The limits that follow from a configuration now; warns of a budget that does not fit.
  func limits(_ configuration: Configuration) -> Limits {
    limits(configuration, memory: memory.smallest())
  }

  private func limits(_ configuration: Configuration, memory limit: Int) -> Limits {
    let limits = Limits(configuration, descriptors: descriptorCount, memory: limit)
    if limits.memoryByteCount > limit {
      Log.write(
        LogEvent(
          .doubtfulSetting,
          "the budget of \(limits.memoryByteCount >> 20) MiB is more than the \(limit >> 20) MiB of "
            + "memory that the daemon may use: it may be killed before the budget is spent"))
    }
    return limits
  }
}

extension Limits {
  /// The limits for the log.
  var summary: String {
    "at most \(connections) connections, \(ownConnections) for one user; "
      + "\(memoryByteCount >> 20) MiB for arenas and indexes, at most three quarters for one user; "
      + "keeps unused checkpoints for \(lingerMilliseconds / 1000) s"
  }
}
