import Foundation
import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartTensorModel
import WarmstartTestSupport

/// The log reports a damaged checkpoint once, not for each request.
@Suite(.serialized, .descriptorsBalanced) struct DamageTests {
  @Test func `each damaged checkpoint is logged once`() throws {
    let daemon = try ServedDaemon()
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("t", dtype: 4, [3], [1, 2, 3])
    writer.add("u", dtype: 4, [3], [4, 5, 6])
    for key in ["t", "u"] as [BundleWriter.Key] { writer.change(key) { $0.checksum ^= 1 } }
    for name in ["one", "two"] {
      let prefix = try writer.write(to: directory.path, named: name).prefix
      for _ in 0..<2 {
        let peer = try daemon.connect()
        let passed = try PassedFiles(prefix, label: "a\u{1b}/\(name)")
        let handle = try peer.handle(passed)
        for tensor in ["t", "u"] as [Name] {
          try peer.resolve(
            .handle(handle), AssignmentMap([AssignmentMap.Pair(tensor, .name("w"))]),
            [Variable("w", dtype: .uint8, shape: [3])])
          #expect(try peer.answer().reason == "CHECKSUM_MISMATCH")
        }
      }
    }
    // Each call is counted, and each checkpoint is logged once.
    let counters = try daemon.connect().status().counters
    #expect(counters.first { $0.name == "checksum_failures" }?.value == 8)
    let warnings = daemon.warnings
    #expect(warnings.count == 2)
    for (warning, name) in zip(warnings, ["one", "two"]) {
      #expect(
        warning.hasPrefix("checkpoint a\\u{1B}/\(name), opened by user "), "\(warning)")
      #expect(warning.contains("DATA_LOSS (CHECKSUM_MISMATCH): "))
    }
  }

  @Test func `an unreadable index is logged, other refusals are not`() throws {
    let daemon = try ServedDaemon()
    let peer = try daemon.connect()
    let files = try PassedFiles.golden().files
    let index = [CheckpointFile(.index, .descriptor(0))]
    let path = "Tests/Data/Corpus/checkpoints/index-checksum/model.index"
    let damaged = try File(
      opening: FilePath(Golden.repository.appending(path: path).path(percentEncoded: false)))
    #expect(
      try peer.open([damaged], .files(index, label: "l")).reason == "CHECKSUM_MISMATCH")
    #expect(daemon.warnings.count == 1)
    // A data file, which may be no checkpoint at all.
    #expect(try peer.open([files[1]], .files(index, label: "l")).reason == "CORRUPT")
    try peer.resolve(.handle(7), [:], [])
    #expect(try peer.answer().reason == "INVALID_REQUEST")
    let handle = try peer.handle(try PassedFiles.golden())
    let nothing = AssignmentMap([AssignmentMap.Pair("none", .name("w"))])
    try peer.resolve(.handle(handle), nothing, [Variable("w", dtype: .float32, shape: [3])])
    #expect(try peer.answer().reason == "TENSOR_NOT_FOUND")
    #expect(daemon.warnings.count == 1)
  }

  @Test func `a file of another format is the client's mistake, and is not logged`() throws {
    let daemon = try ServedDaemon()
    let directory = try TemporaryDirectory()
    let path = directory.path + "/model.h5"
    try BundleFile.write([(0, [0x89] + Array("HDF\r\n\u{1a}\n".utf8))], byteCount: 2048, to: path)
    let file = try File(opening: FilePath(path))
    let peer = try daemon.connect()
    let table = [CheckpointFile(.whole, .descriptor(0))]
    #expect(try peer.open([file], .files(table, label: "l")).reason == "UNSUPPORTED")
    #expect(daemon.warnings.isEmpty)
  }
}
