import WarmstartKernel
import WarmstartMessages

/// Sends notes about a call's progress to a client that asked for them: at most ten a second, and
/// only when there is progress.
final class ProgressNotes {
  /// How long a call takes before its first note, and between two notes; chosen, not tuned.
  private static let intervalMilliseconds = 100

  private let reply: Responder
  private let isOfPreload: Bool
  private var due = Deadline.after(milliseconds: ProgressNotes.intervalMilliseconds)
  private var readyByteCount = -1

  /// Begins with the call.
  init(_ reply: Responder, ofPreload: Bool = false) {
    self.reply = reply
    isOfPreload = ofPreload
  }

  /// Begins to count from nothing, after the files were read for their SHA-256.
  func restart() { readyByteCount = -1 }

  /// Sends a note if one is due and more bytes are ready than the last note said.
  func note(_ progress: ResolveReply.Progress) {
    // A call may need no bytes at all: missing rows are zeros.
    guard progress.totalByteCount > 0 else { return }
    guard progress.readyByteCount > readyByteCount, due.hasPassed else { return }
    readyByteCount = progress.readyByteCount
    due = .after(milliseconds: ProgressNotes.intervalMilliseconds)
    reply.note(progress, ofPreload: isOfPreload)
  }
}
