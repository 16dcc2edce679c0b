import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTable
import WarmstartTensorModel
import WarmstartTestSupport

/// The SHA-256 that a client expects of a checkpoint's files.
@Suite struct ExpectTests {
  private let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
  private let warm: Warm

  init() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [16], floats(16), in: 0)
    writer.add("b", dtype: 1, [700_000], floats(700_000), in: 1)
    warm = try Warm(writer)
  }

  private func sha256(_ pieces: [[UInt8]]) throws -> [UInt8] {
    guard var digest = SHA256() else { throw Problem(.system, "no memory") }
    for piece in pieces { digest.update(piece.rawSpan) }
    return digest.finish()
  }

  /// The digest of the files as they are on disk, one after the other.
  private func digest() throws -> [UInt8] {
    try sha256(
      ([warm.bundle.index] + warm.bundle.shards).map { path in
        try #require(try File(opening: FilePath(path)).readAll(limit: 4 << 20))
      })
  }

  @Test func `the digests of no bytes, and of three, are the standard's`() throws {
    #expect(
      try sha256([]).hexadecimal
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      try sha256([[0x61], [0x62, 0x63]]).hexadecimal
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func `files with the expected digest are accepted, and read once`() throws {
    let lease = try warm.open(store)
    #expect(lease.resident.sha256 == nil)
    var notes: [Int] = []
    let expected = try digest()
    try lease.expect(expected, from: warm.files(), for: .patient) { read, _ in notes.append(read) }
    #expect(lease.resident.sha256 == expected)
    #expect(notes.count > 3 && notes == notes.sorted())
    notes = []
    try lease.expect(expected, from: warm.files(), for: .patient) { read, _ in notes.append(read) }
    #expect(notes.isEmpty)
  }

  @Test func `another digest is refused with both, and with the command that prints it`() throws {
    let lease = try warm.open(store)
    let wrong = [UInt8](repeating: 0xab, count: 32)
    let found = try digest().hexadecimal
    for _ in 0..<2 {
      let error = #expect(throws: Problem.self) {
        try lease.expect(wrong, from: warm.files(), for: .patient)
      }
      #expect(error?.reason == .checksumMismatch)
      #expect(error?.message.contains("have the SHA-256 \(found), expected abababab") == true)
      #expect(error?.message.hasSuffix(" | sha256sum") == true)
    }
  }

  @Test func `a missing data file is named`() throws {
    let lease = try warm.open(store)
    let files = try warm.files().members.dropLast().map { (role: $0.role, file: $0.file) }
    let error = #expect(throws: Problem.self) {
      try lease.expect(
        [UInt8](repeating: 0, count: 32), from: try FileSet(files, openedBy: 1000), for: .patient)
    }
    #expect(error?.reason == .checkpointNotFound)
    #expect(error?.message.contains("data-00001-of-00002, which is missing") == true)
  }

  @Test func `a caller who stops waiting ends the reading, and the next one begins again`() throws {
    let lease = try warm.open(store)
    let expected = try digest()
    let error = #expect(throws: Problem.self) {
      try lease.expect(
        expected, from: warm.files(), for: Caller(nil, until: .after(milliseconds: 0)))
    }
    #expect(error?.reason == .deadline)
    #expect(lease.resident.sha256 == nil)
    try lease.expect(expected, from: warm.files(), for: .patient)
  }

  @Test func `many callers at once get the same answer from one reading`() throws {
    let lease = try warm.open(store)
    let expected = try digest()
    let results = try Crew(8) { number -> Result<Void, Problem> in
      var wanted = expected
      if number % 2 == 1 { wanted[0] ^= 1 }
      return outcome { [wanted] in try lease.expect(wanted, from: warm.files(), for: .patient) }
    }.outcomes()
    for (number, result) in results.enumerated() {
      let isRight = (try? result.get()) != nil
      #expect(isRight == (number % 2 == 0))
    }
  }
}
