import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel

/// What this process leaves to its successor in the service manager's descriptor store.
///
/// For each resident that is worth it, the store has the files that the resident holds, a record, and
/// its arenas. The store takes few descriptors: pinned residents come first, and then the largest
/// arenas and the residents with most verified bytes. What does not fit is made again.
///
/// Only checkpoints on trusted file systems are left: the service manager closes files on its main
/// thread, where a file system of a user's own could make it hang.
final class Legacy: Sendable {
  private struct State {
    /// The names of the descriptors in the store.
    var names: Set<String> = []
    /// For each resident's key, the name of its record and the digest of the record's words.
    var records: [String: (name: String, digest: Int)] = [:]
    /// Whether the last process's descriptors are being sorted out; nothing else changes meanwhile.
    var isTakingOver = false
    var lastNumber = 0
    var isFrozen = false
  }

  /// A resident that may be left, and the arenas of it that will be.
  private struct Choice {
    let use: Resident.Use
    let files: [File]
    var arenas: [ArenaHolder] = []
  }

  private let store: DescriptorStore?
  private let residency: Residency
  /// When this process made its store: part of each new name, so that names differ from those of
  /// earlier processes.
  private let start = String(MonotonicClock.nanoseconds(), radix: 36)
  // Lock order: this monitor, then the residency's and those behind it.
  private let state = Monitor(State())

  init(_ store: DescriptorStore?, of residency: Residency) {
    self.store = store
    self.residency = residency
  }

  // MARK: Names

  /// A text that no other resident's key, and no other last part of a name, ever is.
  func nextName() -> String {
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    return "\(start)-\(number)"
  }

  /// The name of a new arena, which a user pays for.
  func arenaName(of key: String, payer: UInt32) -> String {
    StoredName(.arena, of: key, "\(payer).\(nextName())").text
  }

  // MARK: What is left

  /// Has the store contain what is worth it now.
  ///
  /// - Parameters:
  ///   - writesRecords: Whether records that have changed are written anew, which costs more.
  ///   - settles: Whether to wait until the store has what was added, and has closed what was removed.
  func update(writingRecords writesRecords: Bool = false, settles: Bool = false) {
    guard let store else { return }
    let hasChanged = state.withLock { state in
      guard !state.isFrozen, !state.isTakingOver else { return false }
      return update(&state, store, writesRecords)
    }
    if settles, hasChanged { store.settle() }
  }

  /// Leaves everything as it is from now on: this process ends, and drops what its successor needs.
  func freeze() {
    update(writingRecords: true, settles: true)
    state.withLock { $0.isFrozen = true }
  }

  private func update(
    _ state: inout State, _ store: DescriptorStore, _ writesRecords: Bool
  ) -> Bool {
    let choices = self.choices(store.capacity)
    var wanted: [(name: String, file: File)] = []
    for choice in choices {
      let key = choice.use.resident.key
      for (position, file) in choice.files.enumerated() {
        wanted.append((StoredName(.file, of: key, "\(position)").text, file))
      }
      wanted += choice.arenas.map { ($0.name, $0.arena.file) }
    }
    let keys = Set(choices.map { $0.use.resident.key })
    let names = Set(
      wanted.map(\.name) + state.records.filter { keys.contains($0.key) }.map(\.value.name))
    var hasChanged = false
    // First, to make room.
    for name in state.names.subtracting(names) {
      store.remove(name)
      state.names.remove(name)
      hasChanged = true
    }
    for key in state.records.keys where !keys.contains(key) { state.records[key] = nil }
    for (name, file) in wanted where !state.names.contains(name) {
      guard store.add(file, name) else { continue }
      state.names.insert(name)
      hasChanged = true
    }
    for choice in choices
    where writesRecords || state.records[choice.use.resident.key] == nil {
      if writeRecord(of: choice.use, &state, store) { hasChanged = true }
    }
    return hasChanged
  }

  /// Writes a resident's record if it has changed; the old one goes after the new one has come.
  private func writeRecord(
    of use: Resident.Use, _ state: inout State, _ store: DescriptorStore
  ) -> Bool {
    let key = use.resident.key
    let words = ResidentRecord(use).words
    let digest = words.rawSpan.digest
    guard state.records[key]?.digest != digest else { return false }
    state.lastNumber += 1
    let name = StoredName(.record, of: key, "\(start)-\(state.lastNumber)").text
    // Without memory for a record the old one stays; a later update tries again.
    guard let file = try? ResidentRecord.file(of: words), store.add(file, name) else {
      return false
    }
    state.names.insert(name)
    if let old = state.records.updateValue((name, digest), forKey: key)?.name {
      store.remove(old)
      state.names.remove(old)
    }
    return true
  }

  /// Chooses what to leave, in at most a number of descriptors.
  private func choices(_ capacity: Int) -> [Choice] {
    var choices: [Choice] = []
    var candidates: [(choice: Int, arena: ArenaHolder?, byteCount: Int)] = []
    for use in residency.all() where use.resident.canBeHandedOver {
      let files = use.resident.files.all
      guard !files.isEmpty else { continue }
      let holdings = use.resident.holdings
      // What was verified for arenas is worth nothing without them.
      let verified = holdings.verifiedByteCount - holdings.arenaByteCount
      if verified > 0 || use.isPinned { candidates.append((choices.count, nil, verified)) }
      for arena in use.resident.pieces.arenas {
        candidates.append((choices.count, arena, arena.arena.byteCount))
      }
      choices.append(Choice(use: use, files: files))
    }
    // Every pin comes before the arenas of any.
    let rank = { (candidate: (choice: Int, arena: ArenaHolder?, byteCount: Int)) in
      choices[candidate.choice].use.isPinned ? (candidate.arena == nil ? 0 : 1) : 2
    }
    candidates.sort { (rank($0), $1.byteCount) < (rank($1), $0.byteCount) }
    var left = capacity
    var isChosen = [Bool](repeating: false, count: choices.count)
    for (choice, arena, _) in candidates {
      let cost = (isChosen[choice] ? 0 : choices[choice].files.count + 1) + (arena == nil ? 0 : 1)
      guard cost <= left else { continue }
      left -= cost
      isChosen[choice] = true
      if let arena { choices[choice].arenas.append(arena) }
    }
    return zip(choices, isChosen).filter { $0.1 }.map { $0.0 }
  }

  // MARK: Taking over

  /// Notes that the last process's descriptors are being sorted out.
  func beginTakingOver() {
    state.withLock { $0.isTakingOver = true }
  }

  /// Notes that a resident was restored with some of the descriptors.
  func takeOver(_ names: [String], record: String, of key: String) {
    state.withLock { state in
      state.names.formUnion(names)
      state.names.insert(record)
      // No bytes have this digest for sure, so the next update writes the record anew.
      state.records[key] = (record, 0)
    }
  }

  /// Removes the descriptors that were not taken over, and ends the taking over.
  func endTakingOver(of names: [String]) {
    let left = state.withLock { state in
      state.isTakingOver = false
      return names.filter { !state.names.contains($0) }
    }
    for name in left { store?.remove(name) }
    update()
  }
}
