package import WarmstartKernel

/// Where descriptors outlive this process: the service manager's descriptor store.
///
/// The daemon fills it in; the store of checkpoints does not know the service manager.
package struct DescriptorStore: Sendable {
  /// How many descriptors it takes.
  package let capacity: Int
  /// Adds a file under a name that no other file has; returns false if that failed.
  package let add: @Sendable (File, _ name: String) -> Bool
  /// Removes and closes the file of a name, after the call.
  package let remove: @Sendable (_ name: String) -> Void
  /// Waits a little until all that was added and removed is done.
  package let settle: @Sendable () -> Void

  package init(
    capacity: Int, add: @escaping @Sendable (File, _ name: String) -> Bool,
    remove: @escaping @Sendable (_ name: String) -> Void, settle: @escaping @Sendable () -> Void
  ) {
    self.capacity = capacity
    self.add = add
    self.remove = remove
    self.settle = settle
  }
}

/// The name of a descriptor in the store: what it is, of which resident, and a last part.
///
/// The parts have dots between them. A resident's key, and the last part, are unique over restarts.
struct StoredName: Hashable {
  /// What a descriptor is.
  enum Kind: String {
    /// A sealed arena; the user who paid for it first comes before its number.
    case arena
    /// A file of the checkpoint; the last part is its position among the generation's.
    case file
    /// The published names, which belong to no resident.
    case names
    /// The record of a resident.
    case record
  }

  let kind: Kind
  /// The key of the resident.
  let key: String
  /// The last part of the name.
  let last: String

  init(_ kind: Kind, of key: String, _ last: String) {
    self.kind = kind
    self.key = key
    self.last = last
  }

  /// Reads a name; nil for a name that no version of the daemon gives.
  init?(_ text: String) {
    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let kind = Kind(rawValue: String(parts[0])) else { return nil }
    self.init(kind, of: String(parts[1]), String(parts[2]))
  }

  var text: String { "\(kind.rawValue).\(key).\(last)" }

  /// The user who paid first for an arena.
  var payer: UInt32? { last.split(separator: ".").first.flatMap { UInt32($0) } }
}
