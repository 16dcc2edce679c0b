import WarmstartKernel
import WarmstartMessages

/// Tells a client that asked for it how far its call is: seldom, and never less than before.
final class ProgressNotes {
  /// How long a call takes before it is worth a note, and between two; chosen, not tuned.
  private static let intervalMilliseconds = 100

  private let reply: Responder
  private var due = Deadline.after(milliseconds: ProgressNotes.intervalMilliseconds)
  private var readyByteCount = -1

  /// Begins when the call does.
  init(_ reply: Responder) {
    self.reply = reply
  }

  /// Sends a reply if it is time, and if there is more to say.
  func note(_ progress: ResolveReply.Progress) {
    // Of missing rows nothing is read.
    guard progress.totalByteCount > 0 else { return }
    guard progress.readyByteCount > readyByteCount, due.hasPassed else { return }
    readyByteCount = progress.readyByteCount
    due = .after(milliseconds: ProgressNotes.intervalMilliseconds)
    reply.note(progress)
  }
}
