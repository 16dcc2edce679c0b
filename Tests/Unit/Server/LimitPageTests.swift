import Foundation
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Documents and other languages repeat the code's numbers.
@Suite struct LimitPageTests {
  private func text(_ path: String) throws -> String {
    let root = Golden.repository
    return try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// A page's text, with the lines of a paragraph joined.
  private func unwrapped(_ path: String) throws -> String {
    try text(path).replacing(#/\n +|\n(?=[^\n])/#, with: " ")
  }

  /// A number with commas between its thousands.
  private func grouped(_ number: Int) -> String {
    number < 1000
      ? "\(number)" : "\(number / 1000),\(String("00\(number % 1000)".suffix(3)))"
  }

  /// A number of whole MiB or KiB.
  private func size(_ byteCount: Int) -> String {
    byteCount < 1 << 20 ? "\(byteCount >> 10) KiB" : "\(byteCount >> 20) MiB"
  }

  @Test func `the protocol's page has the limits of the code`() throws {
    let page = try unwrapped("Sources/Server/Server.docc/Protocol.md")
    let seconds = Connection.frameMilliseconds / 1000
    let request = size(Connection.maximumRequestByteCount)
    let reply = size(Connection.maximumReplyByteCount)
    let backlog =
      "\(grouped(Connection.maximumBacklogCount)) calls or "
      + "\(size(Connection.maximumBacklogByteCount)) in total"
    for sentence in [
      "| request | \(request) |",
      "| reply | \(reply);",
      "A request has at most \(request),", "a reply at most \(reply).",
      "| descriptors on a frame | \(Connection.maximumDescriptors) |",
      "all in one `sendmsg`, at most \(Connection.maximumDescriptors).",
      "room for \(Connection.maximumDescriptors) descriptors",
      "| files of a checkpoint | \(grouped(maximumCheckpointFiles)) |",
      "| checkpoints that a connection has open | \(Limits().handles) |",
      "| \(grouped(Connection.maximumBacklogCount)), or "
        + "\(size(Connection.maximumBacklogByteCount)) in total |",
      "up to \(backlog)",
      "at most \(grouped(maximumCheckpointFiles)) files.",
      "| required features of a call | \(Call.maximumFeatures) |",
      "| problems in a status | \(grouped(CallStatus.maximumProblems)), and "
        + "\(size(CallStatus.maximumProblemByteCount)) of names and messages; "
        + "of a map \(Problems.maximumCount) |",
      "| a frame, from its first byte to its last | \(seconds) s |",
      "A frame must be whole \(seconds) s after its first byte",
    ] {
      #expect(page.contains(sentence), "the page lacks: \(sentence)")
    }
  }

  @Test func `the messages' description has the limits of the code`() throws {
    let proto = try text("Protos/warmstart/v1/warmstart.proto")
    let (count, byteCount) = (UnusedTensors.maximumNameCount, UnusedTensors.maximumByteCount)
    #expect(proto.contains("names of these, at most \(count) and \(byteCount) bytes"))
    #expect(proto.contains("power of two, at most \(Alignment.maximum);"))
    // The proto and the page write it as a word.
    #expect(CallStatus.maximumProblems == 1000)
    #expect(Problems.maximumCount == 100)
    #expect(
      try unwrapped("Sources/Server/Server.docc/Protocol.md").contains(
        "At most a thousand are listed, and at most a hundred of a map."))
    #expect(proto.contains("The deciding one first; at most a thousand."))
  }

  @Test func `the attacks' client takes as many descriptors as a frame may have`() throws {
    let constant = "\nMAXIMUM_DESCRIPTORS = \(Connection.maximumDescriptors)\n"
    #expect(try text("Tests/System/Attacks/wire.py").contains(constant))
    #expect(Socket.maximumDescriptors >= Connection.maximumDescriptors)
  }

  @Test func `the attacks' client has the codes of the code`() throws {
    let client = try text("Tests/System/Attacks/wire.py")
    for code in [StatusCode.resourceExhausted, .aborted] {
      #expect(client.contains("\n\(code.name) = \(code.rawValue)\n"))
    }
  }
}
