/// The name of a checkpoint that an administrator published: clients ask for `name:bert` instead of
/// a path.
public struct PublishedName: Sendable, Hashable, CustomStringConvertible {
  /// What a user writes in front of a name, to tell it from a path.
  package static let prefix = "name:"
  /// The most characters of a name; chosen, not tuned.
  private static let maximumCount = 64

  /// The name without `name:`.
  public let text: String

  /// Accepts a name.
  ///
  /// - Parameter text: 1 to 64 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`; the first is not
  ///   `.` or `-`.
  /// - Throws: A problem with the reason `invalidRequest` for any other text.
  public init(_ text: String) throws(Problem) {
    let allowed = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "-"):
        true
      default: false
      }
    }
    guard allowed, (1...Self.maximumCount).contains(text.utf8.count), text.first != ".",
      text.first != "-"
    else {
      // A name of megabytes is not escaped as a whole.
      let shown = String(decoding: text.utf8.prefix(Self.maximumCount + 1), as: UTF8.self)
      throw Problem(
        .invalidRequest,
        "the name '\(shown.printable)' of a checkpoint is not valid, expected 1 to "
          + "\(Self.maximumCount) letters, digits, '.', '_' or '-', not beginning with '.' or '-'")
    }
    self.text = text
  }

  /// Reads what a user calls a checkpoint; returns nil if that is a path.
  ///
  /// - Throws: `invalidRequest` if a word begins with `name:` and no valid name follows; the
  ///   message says how to write the path of that name.
  package init?(word: String) throws(Problem) {
    guard word.utf8.starts(with: Self.prefix.utf8) else { return nil }
    do {
      try self.init(String(word.dropFirst(Self.prefix.count)))
    } catch {
      throw Problem(
        error.reason, error.message + "; for a file of that name, write './\(word.printable)'")
    }
  }

  /// The name as a user writes it: `name:bert`.
  public var description: String { Self.prefix + text }
}

/// A checkpoint's name, and who may ask for the checkpoint by this name.
public struct Publication: Sendable, Hashable {
  /// The name.
  public let name: PublishedName
  /// The ids of the users who may use the name.
  public let users: [UInt32]
  /// The ids of the groups whose members may use the name.
  public let groups: [UInt32]

  /// Describes a publication; without users and groups, everyone who may connect can use the name.
  ///
  /// - Parameters:
  ///   - name: The name.
  ///   - users: The ids of the users who may use it.
  ///   - groups: The ids of the groups whose members may use it.
  public init(_ name: PublishedName, users: [UInt32] = [], groups: [UInt32] = []) {
    self.name = name
    self.users = users
    self.groups = groups
  }

  /// Whether a user may use the name; root always may.
  ///
  /// - Parameter groups: Returns the user's groups; called only if the rules name groups.
  package func allows(uid: UInt32, groups own: () -> [UInt32]) -> Bool {
    if uid == 0 || users.isEmpty && groups.isEmpty || users.contains(uid) { return true }
    return !groups.isEmpty && own().contains { groups.contains($0) }
  }
}
