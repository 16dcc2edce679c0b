/// One thing that is wrong with a request or a checkpoint.
public struct Problem: Sendable, Hashable, Error {
  /// Which kind of problem it is.
  public package(set) var reason: Reason
  /// What is wrong, where, and what was expected; for people.
  public package(set) var message: String
  /// The key of the assignment map that the problem is about, if any.
  public package(set) var key: Name?
  /// The variable that the problem is about, if any.
  public package(set) var variable: Name?
  /// The tensor that the problem is about, if any.
  public package(set) var tensor: Name?

  /// Whether the file may be no checkpoint at all, which is the client's mistake and no damage.
  package var isPerhapsNoCheckpoint = false

  /// Describes a problem.
  package init(
    _ reason: Reason, _ message: String, key: Name? = nil, variable: Name? = nil,
    tensor: Name? = nil
  ) {
    self.reason = reason
    self.message = message
    self.key = key
    self.variable = variable
    self.tensor = tensor
  }
}
