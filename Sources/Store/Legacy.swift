import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel

/// What this process leaves to its successor in the service manager's descriptor store.
///
/// For each resident that is worth it, the store has the files that the resident holds, a record,
/// and its arenas; for a published one, it has all files. Another record has the published names.
/// The store takes few descriptors: pinned residents come first, and then the largest arenas and
/// the residents with most verified bytes. What does not fit is made again.
///
/// Only checkpoints on trusted file systems are left: the service manager closes files on its main
/// thread, where a file system of a user's own could make it hang.
final class Legacy: Sendable {
  private struct State {
    /// The names of the descriptors in the store.
    var names: Set<String> = []
    /// For each resident's key, the name of its record and the digest of the record's words.
    var records: [String: (name: String, digest: Int)] = [:]
    /// For each pinned resident's key that is not left whole, what ends with this process, and why.
    var obstacles: [String: Obstacle] = [:]
    /// The keys whose obstacle was reported.
    var reported: Set<String> = []
    /// What was not reported yet, as sentences.
    var reports: [String] = []
    /// Whether the last process's descriptors are being sorted out; nothing else changes meanwhile.
    var isTakingOver = false
    var lastNumber = 0
    var isFrozen = false
  }

  /// What a pinned resident loses when this process ends.
  private struct Obstacle {
    /// What ends.
    enum Subject: String {
      case pin = "the pin"
      case names = "the use of the names"
      case lock = "the lock"
    }

    var subject = Subject.pin
    /// A clause.
    let reason: String
  }

  /// A resident that may be left, with the files and the arenas of it that will be.
  private struct Choice {
    let use: Resident.Use
    /// The files in the order of their positions among the generation's.
    var files: [(position: Int, file: File)]
    /// Why its names cannot be used, or its lock cannot be taken, after a restart.
    var obstacle: Obstacle?
    var arenas: [ArenaHolder] = []
  }

  /// The key of the record of all names, beside the keys of residents.
  static let namesKey = "all"
  /// The most files of a published checkpoint that are left; chosen, not tuned.
  private static let maximumFileCount = 16
  /// The most reports between two looks at them; chosen, not tuned.
  private static let maximumReportCount = 20

  private let store: DescriptorStore?
  private let residency: Residency
  private let names: Names
  /// When this process made its store: part of each new name, so that names differ from those of
  /// earlier processes.
  private let start = String(MonotonicClock.nanoseconds(), radix: 36)
  // Lock order: this monitor, then the names' and the residency's, and those behind them.
  private let state = Monitor(State())

  init(_ store: DescriptorStore?, of residency: Residency, _ names: Names) {
    self.store = store
    self.residency = residency
    self.names = names
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
  ///   - settles: Whether to wait until the store has what was added, and has closed what was
  ///     removed.
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
    let published = names.all
    let capacity = store.capacity - (published.isEmpty ? 0 : 1)
    let choices = self.choices(capacity, published, &state)
    var wanted: [(name: String, file: File)] = []
    for choice in choices {
      let key = choice.use.resident.key
      for (position, file) in choice.files {
        wanted.append((StoredName(.file, of: key, "\(position)").text, file))
      }
      wanted += choice.arenas.map { ($0.name, $0.arena.file) }
    }
    var keys = Set(choices.map { $0.use.resident.key })
    if !published.isEmpty { keys.insert(Self.namesKey) }
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
    for choice in choices {
      let key = choice.use.resident.key
      guard writesRecords || state.records[key] == nil else { continue }
      let record = ResidentRecord(choice.use, filePositions: choice.files.map(\.position))
      if write(record.words, as: .record, of: key, &state, store) { hasChanged = true }
    }
    if !published.isEmpty, writesRecords || state.records[Self.namesKey] == nil {
      let record = record(of: published, choices, state)
      if write(record.words, as: .names, of: Self.namesKey, &state, store) { hasChanged = true }
    }
    return hasChanged
  }

  /// Writes a record if it has changed; the old one goes after the new one has come.
  private func write(
    _ words: StateWriter, as kind: StoredName.Kind, of key: String, _ state: inout State,
    _ store: DescriptorStore
  ) -> Bool {
    let digest = words.rawSpan.digest
    guard state.records[key]?.digest != digest else { return false }
    state.lastNumber += 1
    let name = StoredName(kind, of: key, "\(start)-\(state.lastNumber)").text
    // Without memory for a record the old one stays; a later update tries again.
    guard let file = try? StateRecord.file(of: words), store.add(file, name) else {
      return false
    }
    state.names.insert(name)
    if let old = state.records.updateValue((name, digest), forKey: key)?.name {
      store.remove(old)
      state.names.remove(old)
    }
    return true
  }

  private func record(
    of published: [Names.Entry], _ choices: [Choice], _ state: State
  ) -> NamesRecord {
    NamesRecord(
      published.map { entry in
        let choice = choices.first { $0.use.resident.generation == entry.generation }
        let obstacle =
          choice.map { $0.obstacle?.reason ?? "" } ?? residency.find(entry.generation)
          .flatMap { state.obstacles[$0.key]?.reason } ?? "its checkpoint was not kept"
        return NamesRecord.Item(
          publication: entry.publication, generation: entry.generation, label: entry.label,
          publisher: entry.publisher, fault: entry.fault, obstacle: obstacle)
      })
  }

  /// Chooses what to leave, in at most a number of descriptors; notes which pins are not left
  /// whole.
  private func choices(
    _ capacity: Int, _ published: [Names.Entry], _ state: inout State
  ) -> [Choice] {
    var choices: [Choice] = []
    var candidates: [(choice: Int, arena: ArenaHolder?, byteCount: Int)] = []
    var obstacles: [String: Obstacle] = [:]
    defer { note(obstacles, &state) }
    for use in residency.all() {
      if let obstacle = use.resident.obstacle {
        if use.isPinned { obstacles[use.resident.key] = Obstacle(reason: obstacle) }
        continue
      }
      let choice = choice(use, published)
      guard !choice.files.isEmpty else { continue }
      let holdings = use.resident.holdings
      // What was verified for arenas is worth nothing without them.
      let verified = holdings.verifiedByteCount - holdings.arenaByteCount
      if verified > 0 || use.isPinned { candidates.append((choices.count, nil, verified)) }
      for arena in use.resident.pieces.arenas {
        candidates.append((choices.count, arena, arena.arena.byteCount))
      }
      choices.append(choice)
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
    for (choice, isChosen) in zip(choices, isChosen) where choice.use.isPinned {
      let key = choice.use.resident.key
      if !isChosen {
        obstacles[key] = Obstacle(
          reason: "the service manager keeps at most \(capacity) descriptors")
      } else {
        obstacles[key] = choice.obstacle
      }
    }
    return zip(choices, isChosen).filter { $0.1 }.map { $0.0 }
  }

  /// A resident with the files to leave: those that it holds, or all of a published or locked
  /// checkpoint.
  private func choice(_ use: Resident.Use, _ published: [Names.Entry]) -> Choice {
    let held = use.resident.files
    var choice = Choice(
      use: use, files: zip(held.positions, held.all).sorted { $0.0 < $1.0 })
    let name = published.first { $0.generation == use.resident.generation && $0.files != nil }
    let isLocked = use.resident.lock.withLock { $0.isWanted }
    guard name != nil || isLocked else { return choice }
    let files = name?.files?.held.all ?? use.resident.cached.files?.members.map(\.file) ?? []
    let count = use.resident.generation.fileCount
    if count > Self.maximumFileCount {
      choice.obstacle = Obstacle(
        subject: name == nil ? .lock : .names,
        reason:
          "it has \(count) files, and at most \(Self.maximumFileCount) of a published or locked "
          + "checkpoint are kept")
    } else if files.count == count {
      choice.files = Array(files.enumerated().map { (position: $0.offset, file: $0.element) })
    }
    return choice
  }

  // MARK: What is not left

  private func note(_ obstacles: [String: Obstacle], _ state: inout State) {
    state.obstacles = obstacles
    state.reported.formIntersection(obstacles.keys)
    for use in residency.all() {
      let resident = use.resident
      guard let obstacle = obstacles[resident.key], state.reported.insert(resident.key).inserted,
        state.reports.count < Self.maximumReportCount
      else { continue }
      state.reports.append(
        "\(obstacle.subject.rawValue) of checkpoint \(resident.nameForPeople) will end with this "
          + "process of the daemon: \(obstacle.reason)")
    }
  }

  /// Why a resident's pin, or the use of its names, ends with this process, as a clause; empty if
  /// they do not, or if nothing outlives this process.
  func obstacle(of resident: Resident) -> String {
    state.withLock { $0.obstacles[resident.key]?.reason ?? "" }
  }

  /// The pinned checkpoints that were found not to be left whole since the last call, as sentences.
  func takeReports() -> [String] {
    state.withLock { state in
      defer { state.reports = [] }
      return state.reports
    }
  }

  // MARK: Taking over

  /// Notes that the last process's descriptors are being sorted out.
  func beginTakingOver() {
    state.withLock { $0.isTakingOver = true }
  }

  /// Notes that a resident, or the names, were restored with some of the descriptors.
  func takeOver(_ names: [String] = [], record: String, of key: String = Legacy.namesKey) {
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
    update(writingRecords: true)
  }
}
