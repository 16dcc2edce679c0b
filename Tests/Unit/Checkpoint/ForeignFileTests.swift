import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// Other files in place of checkpoints, or of parts of them.
@Suite(.serialized) struct ForeignFileTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  private static let pointer = Array(
    """
    version https://git-lfs.github.com/spec/v1
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
    size 12345

    """.utf8)

  /// The error for a file in place of a V1 table, or of an index.
  private func problem(_ bytes: [UInt8], as role: FileRole) throws -> Problem {
    let path = directory.path + "/model"
    try BundleFile.write([(0, bytes)], byteCount: bytes.count, to: path)
    let files = try FileSet([(role, try File(opening: FilePath(path)))], openedBy: 1000)
    return try #require(throws: Problem.self) { try Checkpoint.read(files) { _ in } }
  }

  /// Formats and the first bytes of their files, each a character of the same number.
  private static let heads: [(format: String, head: String)] = [
    ("HDF5", String(repeating: "\0", count: 512) + "\u{89}HDF\r\n\u{1a}\n"),
    ("GGUF", "GGUF\u{3}\0\0\0"),
    ("pickle", "\u{80}\u{2}\u{8a}\nl\u{fc}\u{9c}F\u{f9}"),
    ("pickle", "\u{80}\u{4}\u{95}\0\0\0"),
    ("gzip", "\u{1f}\u{8b}\u{8}\0"),
    ("xz", "\u{fd}7zXZ\0"),
    ("zstd", "(\u{b5}/\u{fd}\u{4}"),
    ("bzip2", "BZh91AY&SY\u{d8}"),
    ("tar", "model.ckpt" + String(repeating: "\0", count: 247) + "ustar\0"),
    ("state file", "model_checkpoint_path: 'm'\n"),
    ("web page", "<!DOCTYPE html><html>"),
    ("text file", "# Gr\u{c3}\u{b6}\u{c3}\u{9f}e\tof it\r\n"),
  ]

  private func bytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8($0.value) }
  }

  @Test(arguments: heads)
  func `a file of another format is named, not reported as damaged`(
    format: String, head: String
  ) throws {
    for padding in [0, 4096] where padding == 0 || format != "text file" {
      let bytes = bytes(head) + [UInt8](repeating: 0, count: padding)
      for role in [FileRole.whole, .index] {
        let problem = try problem(bytes, as: role)
        #expect(problem.reason == .unsupported)
        #expect(problem.message.contains(format), "\(problem.message)")
        #expect(problem.message.hasPrefix(role == .index ? "index file model is" : "file model is"))
        #expect(!problem.message.contains("damaged"))
      }
    }
  }

  @Test(arguments: [
    // A header's length that no file of this size has, or that no header has.
    "\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}{}", "\0\0\0\0\0\0\0\0{}",
    "\u{80}", "\u{80}\u{6}", "\u{89}H", "\u{1f}", "text\0", "\0\0\u{5}",
  ])
  func `bytes of an unknown format are reported as damaged`(head: String) throws {
    for role in [FileRole.whole, .index] {
      let problem = try problem(bytes(head), as: role)
      #expect(problem.reason == .corrupt)
      #expect(problem.message.contains("is damaged, or is not a checkpoint"))
    }
  }

  @Test func `an empty file is reported as empty`() throws {
    let table = try problem([], as: .whole)
    #expect(table.reason == .checkpointNotFound)
    #expect(table.message == "file model is empty, expected a checkpoint")
    // The beginning of an index was written with a checkpoint.
    let index = try problem([], as: .index)
    #expect(index.reason == .corrupt)
    #expect(index.message.hasPrefix("index file model is empty: "))
  }

  // MARK: Git LFS

  @Test func `a table or index that Git LFS has not fetched is reported as missing`() throws {
    for role in [FileRole.whole, .index] {
      let problem = try problem(Self.pointer, as: role)
      #expect(problem.reason == .checkpointNotFound)
      #expect(problem.message.contains("is a Git LFS pointer"))
      #expect(problem.message.contains("`git lfs pull`"))
    }
  }

  /// A checkpoint of two shards, of which the second is a pointer.
  private func opened(_ writer: BundleWriter) throws -> Opened {
    try Opened(writer) { bundle in
      try BundleFile.write(
        [(0, Self.pointer)], byteCount: Self.pointer.count, to: bundle.shards[1])
    }
  }

  private func expectPointer(_ problem: Problem?) {
    #expect(problem?.reason == .checkpointNotFound)
    #expect(problem?.message.hasPrefix("data file model.data-00001-of-00002 is a Git LFS") == true)
    #expect(problem?.tensor == nil)
  }

  @Test func `a data file that was not fetched is refused once for all its tensors`() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [3], [1, 2, 3])
    for name in ["b", "c"] as [BundleWriter.Key] {
      writer.add(name, dtype: 4, [1000], [UInt8](repeating: 7, count: 1000), in: 1)
    }
    let opened = try opened(writer)
    #expect(try opened.bytes("a") == [1, 2, 3])
    let assignments = try ["b", "c"].enumerated().map { index, name in
      Resolution.Assignment(variable: index, tensor: try opened.tensor(name), slice: nil)
    }
    let problem = #expect(throws: Problem.self) {
      _ = try opened.checkpoint.place(
        assignments, PlacementOptions(), in: opened.files, checkIn: {},
        refuse: { Issue.record("refused for itself: \($0.message)") })
    }
    expectPointer(problem)
  }

  @Test func `a tensor short enough to lie in the pointer is not reported as damaged`() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [3], [1, 2, 3])
    writer.add("b", dtype: 4, [3], [4, 5, 6], in: 1)
    let opened = try opened(writer)
    expectPointer(#expect(throws: Problem.self) { try opened.bytes("b") })
  }

  @Test func `strings short enough to lie in the pointer are not reported as damaged`() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [3], [1, 2, 3])
    writer.add("b", strings: ["four", "words"].map { Array($0.utf8) }, [2], in: [1])
    let opened = try opened(writer)
    expectPointer(#expect(throws: Problem.self) { try opened.bytes("b") })
  }
}
