import ArgumentParser
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// The name to publish a checkpoint under, and who may use it.
struct PublicationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Publish the checkpoint under a name: clients ask for name:NAME.", valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "A user, by name or number, who may use the name; may be repeated.", valueName: "user"))
  var allowUser: [String] = []

  @Option(
    help: ArgumentHelp(
      "A group, by name or number, whose members may use the name; may be repeated.",
      valueName: "group"))
  var allowGroup: [String] = []

  func validate() throws {
    if let name {
      do throws(Problem) {
        _ = try PublishedName(name)
      } catch {
        throw ValidationError("--name: \(error.message)")
      }
    }
    guard name == nil, !allowUser.isEmpty || !allowGroup.isEmpty else { return }
    throw ValidationError("--allow-user and --allow-group: expected --name with them")
  }

  /// The publication that the command line describes; nil without `--name`.
  var publication: Publication? {
    get throws(Failure) {
      guard let name else { return nil }
      do throws(Problem) {
        let published = try PublishedName(name)
        return Publication(
          published, users: try ids(allowUser, "user", UserDatabase.userID(named:)),
          groups: try ids(allowGroup, "group", UserDatabase.groupID(named:)))
      } catch {
        throw Failure(error.reason, error.message)
      }
    }
  }

  /// The ids of users or groups: a name of the user database, or else a number.
  private func ids(
    _ words: [String], _ kind: String, _ find: (String) -> UInt32?
  ) throws(Problem) -> [UInt32] {
    var ids: [UInt32] = []
    for word in words {
      guard let id = find(word) ?? UInt32(word) else {
        throw Problem(
          .invalidRequest, "--allow-\(kind): this system has no \(kind) '\(word.printable)'")
      }
      ids.append(id)
    }
    return ids
  }
}
