import WarmstartKernel
import WarmstartLocate
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// What a user calls a checkpoint: the files that a path leads to, found and opened with this
/// process's rights, or the name under which an administrator published it.
struct CheckpointSource {
  /// The path as TensorFlow reports it, or the name as the user writes it.
  let path: String
  /// The open files; none for a name.
  let parts: [CheckpointFiles.Part]
  private let name: PublishedName?
  /// The SHA-256 that the files must have; nil for any.
  private let expectedSHA256: [UInt8]?

  /// Finds and opens the files as TensorFlow finds them; without `needsData`, leaves out data files
  /// that cannot be opened.
  ///
  /// Takes a word that begins with `name:` for a name.
  init(
    _ word: String, needsData: Bool = true, expecting expectation: Expectation? = nil
  ) throws(WarmstartError) {
    expectedSHA256 = try expectation?.digest
    do throws(Problem) { name = try PublishedName(word: word) } catch {
      throw WarmstartError(error)
    }
    guard name == nil else {
      (path, parts) = (word, [])
      return
    }
    do throws(LocateError) {
      let files = try CheckpointFiles.locate(word)
      path = files.prefix
      parts = try files.openParts(needsData: needsData)
    } catch {
      throw WarmstartError(error)
    }
  }

  /// The features that a daemon must have to find the checkpoint.
  var features: [String] {
    (name == nil ? [] : ["names"]) + (expectedSHA256 == nil ? [] : [Expectation.feature])
  }

  /// Refers to the checkpoint by its name, or by its files: they travel with the call if one frame
  /// can carry them, else they are attached before the call.
  func reference(
    on session: Session, until deadline: Deadline
  ) throws(SessionError) -> (CheckpointReference, [File]) {
    let (source, files) = try self.source(on: session, until: deadline)
    return (CheckpointReference(source, expecting: expectedSHA256), files)
  }

  private func source(
    on session: Session, until deadline: Deadline
  ) throws(SessionError) -> (CheckpointReference.Source, [File]) {
    if let name { return (.name(name.text), []) }
    // The label appears in the daemon's status, whose readers work in other directories.
    let label = CheckpointFiles.absolute(path)
    guard parts.count > Connection.maximumDescriptors else {
      let files = parts.enumerated().map { position, part in
        CheckpointFile(part.role, .descriptor(position))
      }
      return (.files(files, label: label), parts.map(\.file))
    }
    var files: [CheckpointFile] = []
    for start in stride(from: 0, to: parts.count, by: Connection.maximumDescriptors) {
      let batch = parts[start..<min(start + Connection.maximumDescriptors, parts.count)]
      var ids: [UInt64] = []
      try session.call(.attach, until: deadline) { session in
        session.connection.compose { frame, _ in frame.beginEmpty() }
        return batch.map(\.file)
      } read: { bytes, scratch, _ throws(MessageError) in
        ids = try AttachReply(unpacking: bytes, scratch).ids
      }
      guard ids.count == batch.count else {
        throw .lost(.malformed("\(ids.count) ids for \(batch.count) files"))
      }
      files += zip(batch, ids).map { CheckpointFile($0.role, .attached($1)) }
    }
    return (.files(files, label: label), [])
  }
}

extension CheckpointFiles {
  /// The files that the daemon needs: the index and its shards, or all files if there is no index.
  ///
  /// If there are shards of several totals, only the index says which total is right: all are
  /// opened.
  fileprivate func openParts(needsData: Bool) throws(LocateError) -> [Part] {
    var parts = opened
    guard hasIndex else { return parts }
    for total in totals.isEmpty ? [1] : totals {
      parts += try openShards(total: total, leavingOutUnusable: !needsData)
    }
    return parts
  }
}
