package import SystemPackage

/// Why a path leads to no checkpoint, and which path it was.
package enum LocateError: Error, Sendable, Hashable {
  /// The path leads to neither a V2 index nor a V1 file nor a match of the pattern.
  case notFound(path: String, hint: String?)
  /// The path is the URL of another machine or of an object store.
  case notLocal(path: String)
  /// The directory has no file `checkpoint`; `nearest` is a checkpoint in it, if there is one.
  case stateMissing(directory: String, nearest: String?)
  /// The directory has no file `checkpoint`, since Orbax wrote it.
  case orbax(directory: String)
  /// The state file names a checkpoint that does not exist; the hint says where it may be.
  case stateTargetMissing(state: String, path: String, hint: String?)
  /// The state file names a directory, a FIFO or the like.
  case stateTargetNotRegular(state: String, path: String)
  /// The state file violates protobuf's text format; line and column count from 1.
  case stateMalformed(
    state: String, line: Int, column: Int, expected: String, nearest: String? = nil)
  /// The state file has no `model_checkpoint_path`, or an empty one.
  case statePathEmpty(state: String, nearest: String? = nil)
  /// The state file is a directory, a FIFO or the like; `nearest` is a checkpoint in it, if there
  /// is one.
  case stateNotRegular(state: String, nearest: String? = nil)
  /// The state file is longer than the limit in bytes.
  case stateTooLong(state: String, limit: Int)
  /// The file that says which files hold the tensors breaks its rules at an offset, or names files
  /// of other directories; the words are a predicate.
  case weightMapMalformed(path: String, offset: Int, String)
  /// The path names a file that is a part of a checkpoint or lies beside one.
  case notCheckpoint(path: String, hint: String)
  /// The path of a checkpoint's file leads to a directory, a FIFO or the like.
  case notRegular(path: String)
  /// More names match the pattern than a checkpoint may have files.
  case tooManyMatches(pattern: String, limit: Int)
  /// More files belong to the checkpoint than the limit.
  case tooManyFiles(path: String, limit: Int)
  /// This user may not read the file or search its directory.
  case notAllowed(path: String)
  /// The system refused for another reason.
  case system(path: String, Errno)

  /// The kinds of errors, one for each reason on the wire.
  package enum Kind: Sendable, Hashable {
    /// CHECKPOINT_NOT_FOUND
    case checkpointNotFound
    /// CHECKPOINT_STATE_INVALID
    case checkpointStateInvalid
    /// CORRUPT
    case corrupt
    /// NOT_ALLOWED
    case notAllowed
    /// SYSTEM
    case system
  }

  /// The kind of the error.
  package var kind: Kind {
    switch self {
    case .notFound, .notLocal, .stateMissing, .orbax, .stateTargetMissing, .stateTargetNotRegular,
      .notCheckpoint, .notRegular, .tooManyMatches:
      .checkpointNotFound
    case .stateMalformed, .statePathEmpty, .stateNotRegular, .stateTooLong:
      .checkpointStateInvalid
    case .weightMapMalformed: .corrupt
    case .notAllowed: .notAllowed
    case .tooManyFiles, .system: .system
    }
  }

  /// Makes the error for a failed system call on a path.
  init(_ errno: Errno, path: String) {
    switch errno {
    case .permissionDenied, .notPermitted: self = .notAllowed(path: path)
    default: self = .system(path: path, errno)
    }
  }
}

extension LocateError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notFound("", _):
      "the checkpoint's path is empty"
    case .notFound(let path, let hint) where path.utf8.last == UInt8(ascii: "/"):
      "no directory '\(path)'\(suffix(hint))"
    case .notFound(let path, let hint) where PathText(path).dropping(".index") != nil:
      "no checkpoint at '\(path)'\(suffix(hint))"
    case .notFound(let path, let hint):
      "no checkpoint at '\(path)': expected '\(path).index' (V2) or a file with tensors\(suffix(hint))"
    case .notLocal(let path):
      "'\(path)' is not on this machine: only local files can be shared"
    case .stateMissing(let directory, let nearest):
      "no file 'checkpoint' in directory '\(directory)': expected one that names a checkpoint, "
        + "or name the checkpoint itself" + (nearest.map { ", such as '\($0)'" } ?? "")
    case .orbax(let directory):
      "'\(directory)' holds a checkpoint of Orbax, not one of TensorFlow's: load it with Orbax, "
        + "and write it with tf.train.Checkpoint"
    case .stateTargetMissing(let state, let path, let hint):
      "no checkpoint at '\(path)', which '\(state)' names\(suffix(hint))"
    case .stateTargetNotRegular(let state, let path):
      "'\(path)', which '\(state)' names, is not a regular file: expected a checkpoint"
    case .stateMalformed(let state, let line, let column, let expected, let nearest):
      "\(state):\(line):\(column): expected \(expected)\(suffix(nearest: nearest))"
    case .statePathEmpty(let state, let nearest):
      "invalid checkpoint state: '\(state)' has no model_checkpoint_path"
        + suffix(nearest: nearest)
    case .stateNotRegular(let state, let nearest):
      "invalid checkpoint state: '\(state)' is not a regular file\(suffix(nearest: nearest))"
    case .stateTooLong(let state, let limit):
      "invalid checkpoint state: '\(state)' is longer than \(limit) bytes"
    case .weightMapMalformed(let path, let offset, let words):
      "'\(path)' is not valid: at \(offset) it \(words)"
    case .notCheckpoint(let path, let hint):
      "'\(path)' is not a checkpoint\(suffix(hint))"
    case .notRegular(let path):
      "'\(path)' is not a regular file: expected a file of a checkpoint"
    case .tooManyMatches(let pattern, let limit):
      "the pattern '\(pattern)' matches more than \(limit) names: expected the files of one "
        + "checkpoint"
    case .tooManyFiles(let path, let limit):
      "more than \(limit) files belong to '\(path)'"
    case .notAllowed(let path):
      "not allowed to read '\(path)'"
    case .system(let path, let errno):
      "cannot read '\(path)': \(errno.description.lowercased())"
    }
  }

  private func suffix(_ hint: String?) -> String {
    hint.map { "; \($0)" } ?? ""
  }

  private func suffix(nearest: String?) -> String {
    suffix(nearest.map { "name the checkpoint itself, such as '\($0)'" })
  }
}
