import SystemPackage
import WarmstartKernel

/// Touches clients' files for threads that must not.
///
/// Even closing a file may hang, if its file system is a user's own or its server is gone. Each
/// user has at most one reaping thread, which ends when it has no jobs left. If it hangs, the jobs
/// behind it wait, and their files stay charged to the same user.
package final class Reaper: Sendable {
  private struct Queue: Sendable {
    let uid: UInt32
    var jobs: [@Sendable () -> Void] = []
    var hasThread = false
  }

  // Invariant: a queue exists while it has jobs or a thread.
  private let queues = Monitor<[Queue]>([])

  /// Runs a job on the thread of the user whose files it touches.
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

  /// The number of jobs that wait for a user's thread.
  package func waitingCount(for uid: UInt32) -> Int {
    queues.withLock { $0.first { $0.uid == uid }?.jobs.count ?? 0 }
  }

  /// Starts missing threads; if the system refuses, a later call tries again.
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

  /// Waits a little until a user has no jobs left; returns false if there were none.
  @discardableResult
  func wait(for uid: UInt32, milliseconds: Int) -> Bool {
    wait(for: uid, until: .after(milliseconds: milliseconds))
  }

  @discardableResult
  func wait(for uid: UInt32, until deadline: Deadline) -> Bool {
    guard queues.withLock({ $0.contains { $0.uid == uid } }) else { return false }
    _ = queues.wait(until: deadline) { queues in
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
