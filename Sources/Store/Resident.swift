package import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// A checkpoint that is held: its parsed index, what of it was verified, and the pieces made of it.
///
/// Shared by all leases of the generation.
package final class Resident: Sendable {
  /// A stored run of a tensor, by their positions in the checkpoint.
  package struct Run: Sendable {
    package let position: Int
    package let tensor: Int

    package init(position: Int, tensor: Int) {
      self.position = position
      self.tensor = tensor
    }
  }

  package let generation: Generation
  package let checkpoint: Checkpoint
  /// What the first client that opened it called it; a path, so for its own user's eyes.
  package let label: String
  /// The user of the client that opened it first.
  package let openedBy: UInt32
  let files: HeldFiles
  let pieces: Pieces
  let answers = Answers()
  // Invariant: reading as long as the flight has not ended.
  let objects = Monitor(Objects.State.unread)
  private let tabs: Monitor<[Tab]>
  private let charge: Charge

  /// Makes a resident of what was read; `held` are the files that it keeps open.
  init(
    _ checkpoint: Checkpoint, _ files: FileSet, held: HeldFiles, label: String, _ tab: Tab,
    _ charge: consuming Charge, _ figures: Figures
  ) {
    openedBy = files.openedBy
    generation = files.generation
    self.checkpoint = checkpoint
    self.label = label
    self.files = held
    self.charge = charge
    tabs = Monitor([tab])
    pieces = Pieces(of: checkpoint, figures)
  }

  /// What the resident holds now.
  package var holdings: Figures.Holdings { pieces.holdings }

  // MARK: Who pays

  /// The tab for what a user has made of the resident.
  func tab(for account: Account) -> Tab {
    tabs.withLock { tabs in
      if let known = tabs.first(where: { $0.uid == account.uid }) { return known }
      let tab = Tab(account)
      tabs.append(tab)
      return tab
    }
  }

  /// The user who pays for the index.
  var payer: UInt32 { tabs.withLock { $0[0].uid } }

  /// Has other users, who lease the resident, pay for what one paid for who does not any more.
  ///
  /// One of them pays for the index, and each for arenas that were granted to that user. What nobody
  /// else was granted stays with its maker.
  func moveCharges(from uid: UInt32, toOneOf others: [UInt32]) {
    guard let other = others.first else { return }
    tabs.withLock { tabs in
      for tab in tabs where tab.uid == uid { tab.move(to: other) }
      // Those of one user are one from here on, as far as they have anything.
      var users: Set<UInt32> = []
      tabs.removeAll { tab in !users.insert(tab.uid).inserted && tab.isEmpty }
    }
    for arena in pieces.arenas { arena.moveCharge(from: uid, toOneOf: others) }
  }

  /// Lets go of arenas that neither a client nor a call in progress has, of the users that are meant.
  ///
  /// Returns whether there were any.
  func dropUnusedArenas(of isMeant: (UInt32) -> Bool) -> Bool {
    let dropped = pieces.dropUnusedArenas(of: isMeant)
    answers.forget(dropped)
    return !dropped.isEmpty
  }
}
