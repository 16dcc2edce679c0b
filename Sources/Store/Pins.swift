import WarmstartCheckpoint
package import WarmstartTensorModel

extension Store {
  /// Keeps a leased checkpoint resident, with all its arenas, until `unpin` or until its index is
  /// deleted.
  ///
  /// The user whose lease it is pays for it meanwhile. A second pin changes nothing.
  package func pin(_ lease: Lease) {
    residency.pin(lease.resident, for: lease.account.uid)
    // At once: a pin is a promise.
    legacy.update(writingRecords: true, settles: true)
  }

  /// Ends a checkpoint's pin, and all its names.
  ///
  /// Several residents may have the generation: a user can forge its digits, and users who do not
  /// share a file system's files have a resident each. The pins of all of them end.
  ///
  /// - Parameter generation: The generation as reports show it.
  /// - Returns: The path of the checkpoint as the user wrote it, and the names that it had.
  /// - Throws: CHECKPOINT_NOT_FOUND if no such checkpoint is pinned.
  @discardableResult
  package func unpin(_ generation: String) throws(Problem) -> (label: String, [PublishedName]) {
    let uses = try find(generation)
    var ended: [PublishedName] = []
    let count = uses.count { use in
      ended += names.remove { $0.generation == use.resident.generation }
        .map(\.publication.name)
      use.resident.unlock()
      return residency.unpin(use.resident, lingers: lingerMilliseconds > 0)
    }
    legacy.update(writingRecords: true)
    kept.sweep()
    guard count > 0 else {
      throw Problem(.checkpointNotFound, "checkpoint \(generation) is not pinned")
    }
    return (uses.first?.resident.label ?? generation, ended)
  }

  /// Evicts the checkpoints of a generation that have no lease and no pin.
  ///
  /// - Parameter generation: The generation as reports show it.
  /// - Returns: How many checkpoints were evicted, mostly one.
  /// - Throws: CHECKPOINT_NOT_FOUND if no such checkpoint is resident, and IN_USE if it is leased
  ///   or pinned.
  @discardableResult
  package func evict(_ generation: String) throws(Problem) -> Int {
    // Without a reference to a resident, which would keep it in memory.
    let (found, isPinned, name) = try self.found(generation)
    let count = residency.idle().count {
      found.contains($0.generation) && evict($0, because: .request)
    }
    legacy.update()
    guard count > 0 else {
      throw Problem(
        .inUse,
        isPinned
          ? "checkpoint \(name) is pinned; unpin it first"
          : "checkpoint \(name) has leases; it can be evicted after the last of them has ended"
      )
    }
    return count
  }

  /// The residents of a generation, and the path by which people know it, or else the generation.
  private func found(
    _ generation: String
  ) throws(Problem) -> (Set<Generation>, isPinned: Bool, name: String) {
    let uses = try find(generation)
    let label = uses.first { !$0.resident.label.isEmpty }?.resident.label
    return (
      Set(uses.map { $0.resident.generation }), uses.contains { $0.isPinned }, label ?? generation
    )
  }

  private func find(_ generation: String) throws(Problem) -> [Resident.Use] {
    let found = residents.filter { $0.resident.generation.description == generation }
    guard !found.isEmpty else {
      throw Problem(.checkpointNotFound, "no checkpoint \(generation.printable) is resident")
    }
    return found
  }
}
