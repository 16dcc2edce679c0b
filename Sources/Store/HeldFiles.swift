import WarmstartCheckpoint
import WarmstartKernel

/// Files of one client that a resident keeps open, so that no other file gets their inode numbers,
/// or that a published name keeps open to read through them.
///
/// The daemon's next process reads the index through them, once. The reaper closes them when the
/// last reference ends.
final class HeldFiles: Sendable {
  /// Why files are no longer those that were opened.
  enum Loss: Sendable {
    /// One has lost its last name.
    case deletion
    /// One was written, or its owner, mode or links changed.
    case change
  }

  private struct State {
    /// The index, and one file on each other device, or all files.
    var files: [File] = []
    /// Whether the reaper has been asked to look at the files.
    var isAsking = false
  }

  /// The files, which outlive the object until the reaper has closed them; refunded after that.
  private final class Contents: Sendable {
    private let state: Monitor<State>
    private let charge: Charge

    init(_ files: [File], _ charge: consuming Charge) {
      state = Monitor(State(files: files))
      self.charge = charge
    }

    /// Notes that the reaper is asked to look at the files; returns false if it already was.
    func beginAsking() -> Bool {
      state.withLock { state in
        defer { state.isAsking = true }
        return !state.isAsking
      }
    }

    /// Why one of the files is no longer what it was; nil if all are.
    ///
    /// A file that cannot be examined counts as deleted.
    func ask(_ isUnchanged: (FileStatus, Int) -> Bool) -> Loss? {
      let files = state.withLock { state in
        state.isAsking = false
        return state.files
      }
      var loss: Loss?
      for (index, file) in files.enumerated() {
        guard let status = try? file.knownStatus(), status.linkCount > 0 else { return .deletion }
        if !isUnchanged(status, index) { loss = .change }
      }
      return loss
    }

    var all: [File] { state.withLock { $0.files } }

    /// Closes the files on this thread.
    func end() {
      let ended = state.withLock { state in
        let ended = state
        state = State()
        return ended
      }
      // They end here, outside the lock.
      _ = ended
    }
  }

  /// The user who opened the files.
  private let uid: UInt32
  private let reaper: Reaper
  private let contents: Contents
  /// The positions of the files among the generation's, the index first.
  let positions: [Int]

  /// Takes over a user's files: the index, and one on each other device, or all.
  init(
    _ files: [File], at positions: [Int], of uid: UInt32, _ charge: consuming Charge,
    _ reaper: Reaper
  ) {
    self.uid = uid
    self.reaper = reaper
    self.positions = positions
    contents = Contents(files, charge)
  }

  /// The files, the index first.
  var all: [File] { contents.all }

  deinit {
    reaper.run(for: uid) { [contents] in contents.end() }
  }

  /// Runs `act` on the reaper's thread if one of the files was deleted or has changed.
  ///
  /// - Parameters:
  ///   - isUnchanged: Whether the file at a position of the generation is as it was.
  ///   - known: What is known of files that are not held.
  func ifLost(
    _ isUnchanged: @escaping @Sendable (FileStatus, _ position: Int) -> Bool,
    known: Loss? = nil, _ act: @escaping @Sendable (Loss) -> Void
  ) {
    // A reaper that hangs must not collect more and more jobs.
    guard contents.beginAsking() else { return }
    reaper.run(for: uid) { [contents, positions] in
      let loss = contents.ask { isUnchanged($0, positions[$1]) }
      if let loss = loss ?? known { act(loss) }
    }
  }
}
