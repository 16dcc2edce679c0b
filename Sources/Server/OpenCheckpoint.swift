import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel

/// A checkpoint that a connection has open: its lease, and the client's files to read it through.
final class OpenCheckpoint {
  let handle: UInt64
  let lease: Lease
  let files: FileSet

  init(handle: UInt64, lease: Lease, files: FileSet) {
    self.handle = handle
    self.lease = lease
    self.files = files
  }

  var resident: Resident { lease.resident }
  var checkpoint: Checkpoint { lease.resident.checkpoint }

  var reply: OpenReply {
    OpenReply(
      handle: handle, generation: resident.generation.description,
      format: checkpoint.format.rawValue,
      tensorCount: checkpoint.catalog.count, byteCount: checkpoint.byteCount)
  }
}
