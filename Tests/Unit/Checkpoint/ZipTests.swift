import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// Zip archives around the arrays of NumPy: what is read, and which lies are refused.
@Suite struct ZipTests {
  private typealias Entry = ZipWriter.Entry
  private let refused = RefusedFile(as: "arrays.npz")

  /// The `.npy` file of an array of bytes.
  private static func array(_ bytes: [UInt8]) -> [UInt8] {
    let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (\(bytes.count),), }"
    return [0x93] + Array("NUMPY".utf8) + [1, 0] + number(text.utf8.count, 2) + Array(text.utf8)
      + bytes
  }

  /// An archive of two arrays.
  private var sound: ZipWriter {
    ZipWriter([Entry("a.npy", ZipTests.array([1, 2])), Entry("b.npy", ZipTests.array([3]))])
  }

  private func check(_ writer: ZipWriter) throws {
    let file = try FoundFile(writer.bytes())
    #expect(file.names == ["a", "b"])
    #expect(try file.bytes("a") == [1, 2])
    #expect(try file.bytes("b") == [3])
  }

  @Test(arguments: [false, true])
  func `an archive is read with and without zip64 records`(isZip64: Bool) throws {
    var writer = sound
    writer.isZip64 = isZip64
    try check(writer)
  }

  @Test func `a comment after the archive is skipped, even one like an end record`() throws {
    var writer = sound
    writer.comment = [0x50, 0x4b, 5, 6] + [UInt8](repeating: 0, count: 40)
    try check(writer)
    writer.comment = [UInt8](repeating: 0x50, count: 0xffff)
    try check(writer)
  }

  @Test func `lengths that follow an entry are taken from the directory`() throws {
    var writer = sound
    writer.entries[0].flags = 8
    try check(writer)
  }

  @Test func `an entry that is not an array is skipped`() throws {
    var writer = sound
    writer.entries += [Entry("note.txt", Array("text and more".utf8)), Entry("folder/", [])]
    try check(writer)
  }

  @Test(arguments: [false, true])
  func `entries that overlap are refused`(isZip64: Bool) throws {
    for (offset, part) in [(0, "overlaps"), (3, "overlaps"), (40, "expected at most")] {
      var writer = sound
      writer.isZip64 = isZip64
      writer.entries[1].offset = offset
      try refused.check(writer.bytes(), .corrupt, part)
    }
  }

  @Test(arguments: [false, true])
  func `an entry that reaches into the directory is refused`(isZip64: Bool) throws {
    for byteCount in [100, 1 << 20, 1 << 31] + (isZip64 ? [1 << 40, .max] : []) {
      var writer = sound
      writer.isZip64 = isZip64
      writer.entries[1].byteCount = byteCount
      try refused.check(writer.bytes(), .corrupt, "of \(byteCount) bytes")
    }
  }

  @Test(arguments: [false, true])
  func `an offset outside the archive is refused`(isZip64: Bool) throws {
    for offset in [1 << 20, 1 << 31] + (isZip64 ? [1 << 40, .max] : []) {
      var writer = sound
      writer.isZip64 = isZip64
      writer.entries[1].offset = offset
      try refused.check(writer.bytes(), .corrupt, "overlaps with the next or the directory")
    }
  }

  @Test func `numbers of 2^63 in a zip64 field are refused`() throws {
    var writer = sound
    writer.isZip64 = true
    writer.entries[1].offset = -1
    try refused.check(writer.bytes(), .corrupt, "a number above 2^63")
  }

  @Test func `a local header that disagrees with the directory is refused`() throws {
    var writer = sound
    writer.entries[0].localName = "c.npy"
    try refused.check(writer.bytes(), .corrupt, "the local header of zip entry a.npy")
    writer.entries[0].localName = "a.np"
    try refused.check(writer.bytes(), .corrupt, "the local header of zip entry a.npy")
    writer = sound
    writer.entries[0].byteCount = 60
    try refused.check(writer.bytes(), .corrupt, "a.npy with the lengths")
  }

  @Test(arguments: [false, true])
  func `an end record that lies is refused`(isZip64: Bool) throws {
    for (count, part) in [
      (1, "bytes after the last header"), (0, "bytes after the last header"), (0xfffe, "46 bytes"),
    ] {
      var writer = sound
      writer.isZip64 = isZip64
      writer.entryCount = count
      try refused.check(writer.bytes(), .corrupt, part)
    }
    for added in [-1, 1, -60] {
      var writer = sound
      writer.isZip64 = isZip64
      writer.addedByteCount = added
      try refused.check(writer.bytes(), .corrupt, "expected it to end at")
    }
  }

  @Test func `an archive behind other bytes is refused`() throws {
    var writer = sound
    let archive = writer.bytes()
    try refused.check(Array("PK\u{3}\u{4}".utf8) + archive, .corrupt, "expected it to end at")
    writer.prefix = Array("PK\u{3}\u{4}".utf8)
    try check(writer)
  }

  @Test func `two entries of one name are refused`() throws {
    var writer = sound
    writer.entries[1].name = "a.npy"
    try refused.check(writer.bytes(), .corrupt, "a second zip entry a.npy")
  }

  @Test func `encrypted and compressed entries are refused by name`() throws {
    var writer = sound
    writer.entries[1].flags = 1
    try refused.check(writer.bytes(), .unsupported, "the encrypted zip entry b.npy")
    for (method, part) in [(8, "the deflated zip entry b.npy"), (14, "compression method 14 of")] {
      writer = sound
      writer.entries[1].method = method
      try refused.check(writer.bytes(), .unsupported, part)
    }
  }

  @Test func `no truncation and no change of a byte crashes the reader`() throws {
    var random = SeededRandom(seed: 17)
    for isZip64 in [false, true] {
      var writer = sound
      writer.isZip64 = isZip64
      let sound = writer.bytes()
      for count in stride(from: 0, to: sound.count, by: 5) {
        _ = try? FoundFile(Array(sound[..<count]))
      }
      for index in sound.indices {
        var bytes = sound
        bytes[index] = UInt8(random.below(256))
        _ = try? FoundFile(bytes)
      }
    }
  }
}
