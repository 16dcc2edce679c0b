import SystemPackage
import WarmstartKernel
import WarmstartStore
import WarmstartSystemd

/// How long the first clients wait for what is being restored; the rest is restored meanwhile.
///
/// Chosen, not tuned: an index of 100,000 tensors takes some 0.1 s.
private let restoringMilliseconds = 10_000

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
