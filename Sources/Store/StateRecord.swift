import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// A sealed memfd that has words for the daemon's next process and nothing else.
enum StateRecord {
  /// Makes the memfd of words that end with their footer.
  static func file(of words: StateWriter) throws(Errno) -> File {
    let byteCount = words.byteCount
    var arena = try Arena(named: "warmstart:record", byteCount: byteCount, isHuge: false)
    try arena.reserve(upTo: byteCount)
    var bytes = arena.bytes
    bytes.copy(words.rawSpan, from: 0, to: 0, count: byteCount)
    return try arena.seal().file
  }

  /// Reads the words that an earlier process left.
  ///
  /// - Throws: CORRUPT if the file is no record of this kind and version.
  static func words(of file: File, as kind: Trailer.Kind) throws(Problem) -> StateReader {
    let sealed: SealedArena
    do { sealed = try SealedArena(restoring: file) } catch {
      throw Problem(state: "it is not a sealed memfd of this user: \(error)")
    }
    let (words, start) = try Trailer.open(sealed, as: kind)
    guard start == 0 else { throw Problem(state: "\(start) bytes come before its words") }
    return words
  }
}

extension StateReader {
  /// Takes a user id or a group id.
  mutating func user() throws(Problem) -> UInt32 {
    UInt32(try number(in: 0...Int(UInt32.max)))
  }

  /// Takes a count, and as many ids.
  mutating func users() throws(Problem) -> [UInt32] {
    var users: [UInt32] = []
    for _ in 0..<(try count()) { users.append(try user()) }
    return users
  }
}
