package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

/// A connection's hold on a resident checkpoint, and whose account pays for what is made for it.
///
/// Given back when the last reference ends.
package final class Lease: Sendable {
  package let resident: Resident
  /// Who holds the lease, and pays for what is made for it.
  package let account: Account
  /// The user whose client waits: one of the account, unless the checkpoint was opened by its name.
  let caller: UInt32
  let store: Store

  init(_ resident: Resident, _ account: Account, from store: Store, calledBy caller: UInt32) {
    self.resident = resident
    self.account = account
    self.store = store
    self.caller = caller
  }

  deinit {
    store.release(resident, by: account.uid)
  }

  /// The tab for what is made for this lease.
  var tab: Tab { resident.tab(for: account) }

  // MARK: Answers

  /// Finds the answer that another job got to the same question; everything it names still exists.
  ///
  /// - Parameter withoutFiles: Whether the answer must name no file, because the client has none.
  package func answer(to question: ArraySlice<UInt8>, withoutFiles: Bool = false) -> Answer? {
    guard let answer = resident.answers.find(question, withoutFiles: withoutFiles) else {
      return nil
    }
    store.figures.countRepeatedAnswer()
    return answer
  }

  /// Remembers an answer whose regions are acquired.
  package func remember(
    _ question: ArraySlice<UInt8>, _ regions: [Answer.Region], _ replies: [Answer.Reply]
  ) {
    resident.answers.remember(question, regions, replies, tab)
  }

  // MARK: Runs and pieces

  /// Waits until all stored runs are verified and all pieces made.
  ///
  /// This call loads what no other call loads, and waits for the rest.
  ///
  /// - Parameter note: Called repeatedly, unless nothing is missing, with the bytes that are ready
  ///   and the bytes that are needed.
  /// - Returns: The places of the pieces, in their order.
  /// - Throws: The first problem.
  package func acquire(
    runs: [Resident.Run], pieces: [Piece], from files: FileSet, for caller: Caller,
    note: ((_ readyByteCount: Int, _ totalByteCount: Int) -> Void)? = nil
  ) throws(Problem) -> [PiecePlace] {
    var made: [UInt64] = []
    defer { resident.pieces.unpin(made) }
    return try acquire(
      runs: runs, pieces: pieces, from: files, for: caller, making: &made, note: note)
  }

  /// Does the same, and adds the arenas that it makes to `made`, which the caller unpins.
  func acquire(
    runs: [Resident.Run], pieces: [Piece], from files: FileSet, for caller: Caller,
    making made: inout [UInt64],
    note: ((_ readyByteCount: Int, _ totalByteCount: Int) -> Void)?
  ) throws(Problem) -> [PiecePlace] {
    var progress: Progress?
    while true {
      // Mostly an earlier call has loaded everything.
      if let places = resident.pieces.find(runs: runs, pieces: pieces) { return places }
      if let note, progress == nil {
        let needed = Pieces.Needed(runs: runs, pieces: pieces, of: resident.checkpoint)
        progress = Progress(resident.pieces, needed, note)
      }
      let work = Work(self, files, caller, progress)
      // The slot comes before the claim: a claim that waited in a queue would keep other calls
      // waiting.
      let others = try store.loadSlots.run(caller, of: self.caller) { () throws(Problem) in
        try claimAndLoad(runs: runs, pieces: pieces, work, &made)
      }
      for flight in others {
        store.figures.count { $0.awaitedLoads += 1 }
        let look = progress.map { progress in { progress.count(with: flight) } }
        try caller.wait(for: flight, look: look)
      }
      progress?.count()
    }
  }

  /// Loads what no other call loads; returns the flights of the calls that load the rest.
  private func claimAndLoad(
    runs: [Resident.Run], pieces: [Piece], _ work: Work, _ made: inout [UInt64]
  ) throws(Problem) -> [Flight] {
    while true {
      let claim = resident.pieces.claim(runs: runs, pieces: pieces)
      guard !claim.isEmpty else { return claim.others }
      do {
        if let arena = try work.load(claim) { made.append(arena) }
      } catch {
        resident.pieces.abandon(claim)
        throw error
      }
    }
  }

  /// Reads runs again through these files, although they were verified before.
  ///
  /// Throws the first problem; damaged runs are not granted any more.
  ///
  /// - Parameter didRead: Receives the number of bytes after each read.
  package func verifyAgain(
    _ runs: [Resident.Run], from files: FileSet, for caller: Caller,
    didRead: @escaping (Int) -> Void = { _ in }
  ) throws(Problem) {
    let work = Work(self, files, caller)
    try store.loadSlots.run(caller, of: self.caller) { () throws(Problem) in
      do throws(Problem) {
        let keepsCached = try work.verifyAgain(runs, didRead)
        resident.pieces.trust(runs, keepsCached: keepsCached)
      } catch {
        noteDamage(error, among: runs)
        throw error
      }
    }
  }

  /// Has the damaged runs verified again before another call gets them.
  ///
  /// No other run: a client can make its own reads fail as often as it likes, and calls that need
  /// many runs would wait for these forever.
  private func noteDamage(_ problem: Problem, among runs: [Resident.Run]) {
    let damage: Set<Reason> = [.checksumMismatch, .corrupt, .truncated]
    guard damage.contains(problem.reason), let name = problem.tensor,
      let tensor = resident.checkpoint.catalog.position(of: name)
    else { return }
    if resident.pieces.distrust(runs.filter { $0.tensor == tensor }) {
      resident.answers.forgetFiles()
      // At once: the daemon's next process must not trust them either.
      store.legacy.update(writingRecords: true)
    }
  }
}
