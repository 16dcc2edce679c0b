package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

/// The checkpoints that administrators published under names, for clients that can open no file.
///
/// A name keeps its checkpoint pinned and all files of the checkpoint open. Calls that ask by name
/// are loaded through these files, and what they make is charged to the administrator who published
/// the checkpoint. When a file changes or is deleted, the name is lost: it gives back the files and
/// the pin, and only says why, until it is published again or ended.
final class Names: Sendable {
  /// What a name stands for.
  struct Entry: Sendable {
    let publication: Publication
    let generation: Generation
    /// The path that the administrator published.
    let label: String
    /// The user who published it, and pays.
    let publisher: UInt32
    /// The open files; nil once the name is lost.
    var files: PublishedFiles?
    /// Why the name is lost; empty if it is not.
    var fault = ""
  }

  /// The most names; chosen, not tuned.
  private static let maximumCount = 1000
  /// The most users and groups in the rules of a name, so that a report of all names stays short;
  /// chosen, not tuned.
  static let maximumRuleCount = 256

  // Invariant: no name occurs twice, and an entry has either files or a fault. Lock order: this
  // monitor, then the residency's.
  private let entries = Monitor<[Entry]>([])

  /// All names, in no order.
  var all: [Entry] { entries.withLock { $0 } }

  func find(_ name: PublishedName) -> Entry? {
    entries.withLock { $0.first { $0.publication.name == name } }
  }

  /// Gives a name to a checkpoint, and runs `pin` at the same moment; returns what had the name.
  func set(_ entry: Entry, pin: () -> Void) throws(Problem) -> Entry? {
    try entries.withLock { entries throws(Problem) in
      let known = entries.firstIndex { $0.publication.name == entry.publication.name }
      guard known != nil || entries.count < Self.maximumCount else {
        throw Problem(.quota, "the daemon has \(Self.maximumCount) names, its limit; unpin some")
      }
      pin()
      guard let known else {
        entries.append(entry)
        return nil
      }
      let replaced = entries[known]
      entries[known] = entry
      return replaced
    }
  }

  /// Adds a name that was restored, unless it has been given again meanwhile.
  func restore(_ entry: Entry) {
    entries.withLock { entries in
      let isKnown = entries.contains { $0.publication.name == entry.publication.name }
      if !isKnown, entries.count < Self.maximumCount { entries.append(entry) }
    }
  }

  /// Ends the names that are meant; returns their entries.
  func remove(_ isMeant: (Entry) -> Bool) -> [Entry] {
    entries.withLock { entries in
      let removed = entries.filter(isMeant)
      entries.removeAll(where: isMeant)
      return removed
    }
  }

  /// Notes why a name cannot be used any more; returns what it was, unless it was lost before.
  func lose(_ name: PublishedName, of generation: Generation, because fault: String) -> Entry? {
    entries.withLock { entries in
      let known = entries.firstIndex { entry in
        entry.publication.name == name && entry.generation == generation && entry.files != nil
      }
      guard let known else { return nil }
      let entry = entries[known]
      entries[known].files = nil
      entries[known].fault = fault
      return entry
    }
  }

  /// Whether a generation has a name that can be used.
  func has(_ generation: Generation) -> Bool {
    entries.withLock { $0.contains { $0.generation == generation && $0.files != nil } }
  }
}

/// The files of a published checkpoint: the set to read through, and what keeps the files open.
package struct PublishedFiles: Sendable {
  let name: PublishedName
  package let set: FileSet
  let held: HeldFiles

  /// Throws CHECKPOINT_CHANGED if one of the files has changed since they were published.
  package func expectUnchanged() throws(Problem) {
    if let fault = try fault() { throw PublishedFiles.changed(name, fault) }
  }

  /// What has changed since the files were published, in words; nil if nothing has.
  fileprivate func fault() throws(Problem) -> String? {
    for position in set.members.indices {
      do { try set.expectUnchanged(at: position) } catch {
        guard error.reason == .checkpointChanged else { throw error }
        return "\(set.members[position]) has changed since it was published"
      }
    }
    return nil
  }

  fileprivate static func changed(_ name: PublishedName, _ fault: String) -> Problem {
    Problem(
      .checkpointChanged,
      "\(name) cannot be used: \(fault); an administrator can publish the checkpoint again with "
        + "warmstartctl pin --name \(name.text)")
  }
}

/// A published name in reports.
package struct NamedCheckpoint: Sendable {
  package let publication: Publication
  package let generation: Generation
  /// The path that the administrator published.
  package let label: String
  /// Why the name cannot be used; empty if it can.
  package let fault: String
  /// Whether the checkpoint's pin ended together with the name.
  package fileprivate(set) var losesPin = false

  init(_ entry: Names.Entry) {
    publication = entry.publication
    generation = entry.generation
    label = entry.label
    fault = entry.fault
  }
}

extension Store {
  /// Publishes a leased checkpoint under a name, and pins it.
  ///
  /// A name that another checkpoint has moves to this one. The other loses its pin, unless it has
  /// another name.
  ///
  /// - Parameter files: The files of the lease, which the name keeps open.
  /// - Returns: The checkpoint that had the name, if it was another.
  /// - Throws: QUOTA if the user may not keep that many files open, or if there are too many names;
  ///   INVALID_REQUEST if too many users and groups may use the name.
  package func publish(
    _ lease: Lease, _ files: FileSet, as publication: Publication
  ) throws(Problem) -> NamedCheckpoint? {
    let ruleCount = publication.users.count + publication.groups.count
    guard ruleCount <= Names.maximumRuleCount else {
      throw Problem(
        .invalidRequest,
        "\(publication.name) is published for \(ruleCount) users and groups, expected at most "
          + "\(Names.maximumRuleCount); a group can have any number of users")
    }
    let (resident, uid) = (lease.resident, lease.account.uid)
    let charge = try charge(
      Amounts(descriptors: files.members.count), to: lease.tab,
      for: "the files of a named checkpoint")
    let held = HeldFiles(
      files.members.map(\.file), at: Array(files.members.indices), of: uid, charge, reaper)
    let entry = Names.Entry(
      publication: publication, generation: resident.generation, label: resident.label,
      publisher: uid, files: PublishedFiles(name: publication.name, set: files, held: held))
    let replaced = try names.set(entry) { residency.pin(resident, for: uid) }
    // At once, as for every pin.
    legacy.update(writingRecords: true, settles: true)
    guard let replaced, replaced.generation != resident.generation else { return nil }
    return ended(replaced)
  }

  /// Ends a name, and the pin of its checkpoint unless that has another name.
  ///
  /// - Returns: The checkpoint that had the name.
  /// - Throws: CHECKPOINT_NOT_FOUND if there is no such name.
  @discardableResult
  package func unpublish(_ name: PublishedName) throws(Problem) -> NamedCheckpoint {
    guard let entry = names.remove({ $0.publication.name == name }).first else {
      throw unknown(name) { _ in true }
    }
    return ended(entry)
  }

  /// The checkpoint of an entry that is no name any more, after its pin has ended unless it has
  /// another name.
  private func ended(_ entry: Names.Entry) -> NamedCheckpoint {
    var checkpoint = NamedCheckpoint(entry)
    checkpoint.losesPin = unpinUnlessNamed(entry.generation)
    return checkpoint
  }

  /// Ends the pin of a checkpoint that has no name; returns whether it had both no name and a pin.
  func unpinUnlessNamed(_ generation: Generation) -> Bool {
    defer { legacy.update(writingRecords: true) }
    guard !names.has(generation), let resident = residency.find(generation) else { return false }
    resident.unlock()
    return residency.unpin(resident, lingers: lingerMilliseconds > 0)
  }

  /// Takes a lease on the checkpoint of a name, for a user whom the rules of the name allow.
  ///
  /// The publisher pays for what is made for the lease.
  ///
  /// - Parameter groups: Returns the user's groups.
  /// - Returns: The lease, and the files to load through.
  /// - Throws: CHECKPOINT_NOT_FOUND for an unknown name, NOT_ALLOWED if the rules exclude the user,
  ///   and CHECKPOINT_CHANGED if a file has changed or was deleted since it was published.
  package func open(
    _ name: PublishedName, for caller: Caller, by uid: UInt32, groups: () -> [UInt32]
  ) throws(Problem) -> (Lease, PublishedFiles) {
    guard let entry = names.find(name) else {
      throw unknown(name) { $0.publication.allows(uid: uid, groups: groups) }
    }
    guard entry.publication.allows(uid: uid, groups: groups) else {
      throw Problem(
        .notAllowed,
        "\(name) is not published for user \(userText(uid)) or one of their groups; ask user "
          + "\(userText(entry.publisher)), who published it")
    }
    guard let files = entry.files else { throw PublishedFiles.changed(name, entry.fault) }
    if let fault = try caller.pausing({ () throws(Problem) in try files.fault() }) {
      lose(name, of: entry.generation, because: fault)
      throw PublishedFiles.changed(name, fault)
    }
    return (try open(files.set, label: entry.label, for: caller, by: uid), files)
  }

  /// A user's name, or the number of a user without one.
  private func userText(_ uid: UInt32) -> String {
    UserDatabase.userName(of: uid)?.printable ?? String(uid)
  }

  private func unknown(
    _ name: PublishedName, offering isOffered: (Names.Entry) -> Bool
  ) -> Problem {
    var nearest = NearestNames(to: Name(name.text))
    for entry in names.all where isOffered(entry) {
      nearest.offer(Name(entry.publication.name.text))
    }
    let hint =
      nearest.names.isEmpty
      ? ""
      : "; nearest: "
        + nearest.names.map { "\(PublishedName.prefix)\($0)" }.joined(separator: ", ")
    return Problem(.checkpointNotFound, "no checkpoint is published as \(name)" + hint)
  }

  /// Has the reaper look for files that were deleted or have changed, whose names are lost then.
  func loseNames() {
    for entry in names.all {
      let (name, generation) = (entry.publication.name, entry.generation)
      entry.files?.held.ifLost({ generation.hasFile($0, at: $1) }) { [weak self] loss in
        let fault = loss == .deletion ? "was deleted" : "has changed since it was published"
        self?.lose(name, of: generation, because: "one of its files \(fault)")
      }
    }
  }

  /// Loses the names of a checkpoint that lost its pin.
  func loseNames(of generation: Generation) {
    for entry in names.all where entry.generation == generation {
      lose(
        entry.publication.name, of: generation,
        because: "one of its files has changed since it was published")
    }
  }

  private func lose(_ name: PublishedName, of generation: Generation, because fault: String) {
    guard let lost = names.lose(name, of: generation, because: fault) else { return }
    let pin = unpinUnlessNamed(generation) ? "; the checkpoint is no longer pinned" : ""
    noteLost("\(name) (\(lost.label)) cannot be used any more: \(fault)\(pin)")
  }

  /// The names that a user may use, or all.
  package func names(for uid: UInt32?, groups: () -> [UInt32]) -> [NamedCheckpoint] {
    names.all.filter { entry in
      uid.map { entry.publication.allows(uid: $0, groups: groups) } ?? true
    }
    .sorted { $0.publication.name.text < $1.publication.name.text }
    .map { NamedCheckpoint($0) }
  }
}
