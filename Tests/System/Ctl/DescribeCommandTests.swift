import Foundation
import Testing
import WarmstartTestSupport

/// What `warmstartctl describe` says of the protocol.
@Suite struct DescribeCommandTests {
  private let daemon: RunningDaemon

  init() throws {
    daemon = try RunningDaemon()
  }

  @Test func `the text has services, messages and enums of the protocol`() throws {
    let command = try Command("warmstartctl", ["--socket", daemon.socketPath, "describe"])
    #expect(command.status == 0)
    for part in [
      "// warmstart/v1/warmstart.proto\npackage warmstart.v1;\n",
      "\nservice Warmstart {\n",
      "  rpc Resolve(ResolveRequest) returns (stream ResolveReply);\n",
      "  rpc Describe(DescribeRequest) returns (DescribeReply);\n",
      "\nmessage DescribeRequest {}\n",
      "\nmessage Call {\n  uint64 id = 1;\n  string method = 2;\n  bytes request = 3;\n",
      "  repeated string required_features = 6;\n", "  google.rpc.Status status = 3;\n",
      "\nservice Health {\n",
    ] {
      #expect(command.output.contains(part), "missing: \(part)")
    }
  }

  @Test func `the descriptor set is the one that is installed`() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/set"
    let program = RunningDaemon.products.appending(path: "warmstartctl")
    let script = #""$0" --socket "$1" describe --binary >"$2""#
    let command = try Command(
      "/bin/sh", ["-c", script, program.path(percentEncoded: false), daemon.socketPath, path])
    #expect(command.status == 0)
    let installed = Golden.repository.appending(path: "Protos/warmstart.binpb")
    #expect(try Data(contentsOf: URL(filePath: path)) == Data(contentsOf: installed))
  }
}
