package import WarmstartCheckpoint

/// A checkpoint that became resident or was evicted, for the log.
package struct Change: Sendable {
  /// Why a checkpoint was evicted.
  package enum Cause: String, Sendable {
    /// It was not used for as long as unused checkpoints stay.
    case unused = "it was not used"
    /// Another checkpoint needed the room.
    case room = "its room was needed"
    /// An administrator asked for it.
    case request = "an administrator asked for it"
    /// No client can open it any more.
    case deletion = "one of its files was deleted"
    /// No client can open it any more.
    case change = "one of its files has changed"
  }

  /// Why the checkpoint was evicted; nil for one that became resident.
  package let cause: Cause?
  package let generation: Generation
  /// The label that the first client gave it.
  package let label: String
  /// The user whose client opened it first.
  package let openedBy: UInt32
  /// The bytes of its files; after an eviction, those that were warm.
  package let byteCount: Int

  init(_ resident: Resident, evicted cause: Cause? = nil) {
    self.cause = cause
    generation = resident.generation
    label = resident.label
    openedBy = resident.openedBy
    byteCount = cause == nil ? resident.checkpoint.byteCount : resident.holdings.warmByteCount
  }
}
