import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel

/// A checkpoint that a connection has open: its lease, and the files to read it through.
///
/// The files are the client's own, or, if the client asked by name, those of the administrator who
/// published the checkpoint. A client without files gets everything in arenas.
final class OpenCheckpoint {
  let handle: UInt64
  let lease: Lease
  let files: FileSet
  /// What keeps the files of a published checkpoint open; nil if the files are the client's.
  let published: PublishedFiles?

  init(handle: UInt64, lease: Lease, files: FileSet, published: PublishedFiles? = nil) {
    self.handle = handle
    self.lease = lease
    self.files = files
    self.published = published
  }

  /// The number of files that the connection is charged for.
  var ownFileCount: Int { published == nil ? files.members.count : 0 }

  var resident: Resident { lease.resident }
  var checkpoint: Checkpoint { lease.resident.checkpoint }

  var reply: OpenReply {
    var reply = OpenReply(
      handle: handle, generation: resident.generation.description,
      format: checkpoint.format.rawValue,
      tensorCount: checkpoint.catalog.count, byteCount: checkpoint.byteCount)
    reply.sha256 = resident.sha256 ?? []
    return reply
  }
}
