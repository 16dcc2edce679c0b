import SystemPackage
import WarmstartKernel

/// Touches clients' files for threads that must not: a file system that does not answer, one that a user
/// runs or a server that is gone, makes even closing a file hang.
///
/// Each user's files are touched by one thread at a time, which ends when there is nothing left to
/// do. One that hangs keeps what is behind it, which stays charged to the same user.
package final class Reaper: Sendable {
  private struct Queue: Sendable {
    let uid: UInt32
    var jobs: [@Sendable () -> Void] = []
    var hasThread = false
  }

  // Invariant: a queue exists while it has jobs or a thread.
  private let queues = Monitor<[Queue]>([])

  /// Has a job done on the thread of the user whose files it touches.
  package func run(for uid: UInt32, _ job: @escaping @Sendable () -> Void) {
    queues.withLock { queues in
      if let known = queues.firstIndex(where: { $0.uid == uid }) {
        queues[known].jobs.append(job)
      } else {
        queues.append(Queue(uid: uid, jobs: [job]))
      }
    }
    startThreads()
  }

  /// How many jobs wait for a user's thread.
  package func waitingCount(for uid: UInt32) -> Int {
    queues.withLock { $0.first { $0.uid == uid }?.jobs.count ?? 0 }
  }

  /// Starts the threads that are missing, if the system lets it: later calls try again.
  func startThreads() {
    while let uid = claim() {
      do {
        try Thread.detach { [self] in work(for: uid) }
      } catch {
        queues.withLock { queues in
          guard let queue = queues.firstIndex(where: { $0.uid == uid }) else { return }
          queues[queue].hasThread = false
        }
        return
      }
    }
  }

  /// Waits a little until no file of a user is being touched or waits for it; false if that is so at once.
  @discardableResult
  func wait(for uid: UInt32, milliseconds: Int) -> Bool {
    guard queues.withLock({ $0.contains { $0.uid == uid } }) else { return false }
    _ = queues.wait(until: .after(milliseconds: milliseconds)) { queues in
      queues.contains { $0.uid == uid } ? nil : true
    }
    return true
  }

  private func claim() -> UInt32? {
    queues.withLock { queues in
      guard let queue = queues.firstIndex(where: { !$0.hasThread }) else { return nil }
      queues[queue].hasThread = true
      return queues[queue].uid
    }
  }

  private func work(for uid: UInt32) {
    while let jobs = next(for: uid) {
      for job in jobs { job() }
    }
  }

  private func next(for uid: UInt32) -> [@Sendable () -> Void]? {
    queues.notifying { queues in
      guard let queue = queues.firstIndex(where: { $0.uid == uid }) else { return nil }
      guard !queues[queue].jobs.isEmpty else {
        queues.remove(at: queue)
        return nil
      }
      defer { queues[queue].jobs = [] }
      return queues[queue].jobs
    }
  }
}
