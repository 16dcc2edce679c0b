import ArgumentParser
import WarmstartClient
import WarmstartProtobuf
import WarmstartTensorModel

/// `describe` prints the protocol that the daemon speaks, for authors of clients.
struct Describe: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "describe",
    abstract: "Print the protocol that the daemon speaks.",
    discussion: """
      Prints the services and messages, or with --binary a google.protobuf.FileDescriptorSet, from \
      which protobuf's libraries make messages at run time.
      """)

  @OptionGroup var connection: ConnectionOptions

  @Flag(help: "Write the descriptor set instead of text.")
  var binary = false

  func run() throws {
    try Failure.reporting(asJSON: false) { () throws(Failure) in
      let daemon = connection.daemon(timeout: 5)
      let bytes = try daemon.call { client, timeout throws(WarmstartError) in
        try client.describe(timeout: timeout)
      }
      guard !binary else { return try Output.write(bytes) }
      let text: String
      do { text = try ProtocolText(bytes).text } catch {
        throw Failure(.connection, "the daemon's descriptor set cannot be read: \(error)")
      }
      try Output.write(text)
    }
  }
}
