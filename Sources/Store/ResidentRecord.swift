import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// What the daemon's next process must know about a resident beside its files and arenas.
///
/// It is written to a small sealed memfd, and written anew when something in it has changed.
struct ResidentRecord {
  /// Who pays for an arena, and who was granted it.
  struct ArenaUse {
    let name: String
    let payer: UInt32
    let users: [UInt32]
  }

  let generation: Generation
  let label: String
  let openedBy: UInt32
  /// The user who pays for the index.
  let payer: UInt32
  /// The users who pinned the resident.
  let pinnedBy: [UInt32]
  /// Whether it is locked into memory.
  let isLocked: Bool
  /// The positions of the files that are left among the generation's.
  let filePositions: [Int]
  /// For each stored run, whether it was verified.
  let isVerified: [Bool]
  let arenas: [ArenaUse]

  /// Describes a resident as it is now.
  ///
  /// - Parameter filePositions: The positions of the files that are left, in ascending order.
  init(_ use: Resident.Use, filePositions: [Int]) {
    let resident = use.resident
    generation = resident.generation
    label = resident.label
    openedBy = resident.openedBy
    payer = resident.payer
    pinnedBy = use.pinnedBy
    isLocked = resident.lock.withLock { $0.isWanted }
    self.filePositions = filePositions
    isVerified = resident.pieces.isVerified
    arenas = resident.pieces.arenas.map {
      ArenaUse(name: $0.name, payer: $0.payer, users: $0.grantedTo)
    }.sorted { $0.name < $1.name }
  }

  /// The words of the record's memfd.
  var words: StateWriter {
    var words = StateWriter()
    generation.append(to: &words)
    words.append(label)
    words.append(Int(openedBy))
    words.append(Int(payer))
    words.append(pinnedBy.map { Int($0) })
    words.append(isLocked ? 1 : 0)
    words.append(filePositions)
    words.append(isVerified.count)
    for start in stride(from: 0, to: isVerified.count, by: 64) {
      var word: UInt64 = 0
      for run in start..<min(start + 64, isVerified.count) where isVerified[run] {
        word |= 1 << UInt64(run - start)
      }
      words.append(word)
    }
    words.append(arenas.count)
    for arena in arenas {
      words.append(arena.name)
      words.append(Int(arena.payer))
      words.append(arena.users.map { Int($0) })
    }
    return Trailer.close(words, as: .record)
  }

  /// Reads the record that an earlier process left.
  ///
  /// - Throws: CORRUPT if the file has no record of this version.
  init(reading words: consuming StateReader) throws(Problem) {
    generation = try Generation(reading: &words)
    label = try words.text()
    openedBy = try words.user()
    payer = try words.user()
    pinnedBy = try words.users()
    isLocked = try words.number(in: 0...1) == 1
    filePositions = try words.numbers()
    let runCount = try words.number(in: 0...1 << 40)
    var isVerified: [Bool] = []
    while isVerified.count < runCount {
      let word = try words.word()
      for bit in 0..<UInt64(min(64, runCount - isVerified.count)) {
        isVerified.append(word >> bit & 1 == 1)
      }
    }
    self.isVerified = isVerified
    var arenas: [ArenaUse] = []
    for _ in 0..<(try words.count(wordsEach: 3)) {
      arenas.append(
        ArenaUse(name: try words.text(), payer: try words.user(), users: try words.users()))
    }
    self.arenas = arenas
    guard words.isAtEnd else { throw Problem(state: "words follow its arenas") }
  }
}
