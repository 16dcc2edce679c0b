import WarmstartCheckpoint
package import WarmstartTensorModel

extension Store {
  /// Keeps a leased checkpoint resident, with all its arenas, until `unpin` or until its index is
  /// deleted.
  ///
  /// The user whose lease it is pays for it meanwhile. A second pin changes nothing.
  package func pin(_ lease: Lease) {
    residency.pin(lease.resident, for: lease.account.uid)
  }

  /// Ends a checkpoint's pin.
  ///
  /// - Parameter generation: The generation as reports show it.
  /// - Throws: CHECKPOINT_NOT_FOUND if no such checkpoint is pinned.
  package func unpin(_ generation: String) throws(Problem) {
    let use = try find(generation)
    guard residency.unpin(use.resident, lingers: lingerMilliseconds > 0) else {
      throw Problem(.checkpointNotFound, "checkpoint \(generation) is not pinned")
    }
    kept.sweep()
  }

  /// Evicts a checkpoint that has no lease and no pin.
  ///
  /// - Parameter generation: The generation as reports show it.
  /// - Throws: CHECKPOINT_NOT_FOUND if no such checkpoint is resident, and IN_USE if it is leased or
  ///   pinned.
  package func evict(_ generation: String) throws(Problem) {
    // Without a reference to the resident, which would keep it in memory.
    let (found, isPinned) = try self.found(generation)
    guard !isPinned else {
      throw Problem(.inUse, "checkpoint \(generation) is pinned; unpin it first")
    }
    let idle = residency.idle().first { $0.generation == found }
    guard let idle, evict(idle) else {
      throw Problem(
        .inUse,
        "checkpoint \(generation) has leases; it can be evicted after the last of them has ended")
    }
  }

  private func found(_ generation: String) throws(Problem) -> (Generation, isPinned: Bool) {
    let use = try find(generation)
    return (use.resident.generation, use.isPinned)
  }

  private func find(_ generation: String) throws(Problem) -> Resident.Use {
    guard let use = residents.first(where: { $0.resident.generation.description == generation })
    else {
      throw Problem(.checkpointNotFound, "no checkpoint \(generation.printable) is resident")
    }
    return use
  }
}
