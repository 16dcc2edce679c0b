import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// What a call takes from its user's account until it is answered: bytes of messages, and files in
/// flight.
///
/// Belongs to the session's thread.
final class RequestShare {
  /// What a request takes for each of its bytes: the byte itself, up to sixteen unpacked, and what
  /// is made of them.
  private static let requestFactor = 20
  /// What a reply takes for each of its bytes while it waits to be read: the frame, and a buffer's
  /// spare room.
  private static let replyFactor = 2

  private let account: Account
  private let socket: Socket
  private var byteCount = 0
  private var fileCount = 0
  /// Files that were sent and perhaps not received yet: until then they count as the daemon's own.
  ///
  /// See `unix(7)`, ETOOMANYREFS.
  private var sentFileCount = 0

  init(_ account: Account, _ socket: Socket) {
    self.account = account
    self.socket = socket
  }

  /// Charges a frame that is being received.
  func take(_ burden: Connection.Burden) throws(WireError) {
    do throws(Problem) {
      switch burden {
      case .bytes(let count): try takeBytes(count * RequestShare.requestFactor)
      case .files(let count): try takeFiles(count)
      }
    } catch {
      throw .overQuota(error.message)
    }
  }

  /// Charges a reply, which a slow client may leave unread.
  func take(reply byteCount: Int, files fileCount: Int) throws(Problem) {
    if byteCount > Connection.freeByteCount {
      try takeBytes(byteCount * RequestShare.replyFactor)
    }
    if fileCount > 0 {
      settle()
      try takeFiles(fileCount)
    }
  }

  private func takeBytes(_ count: Int) throws(Problem) {
    try account.take(count, of: .messages)
    byteCount += count
  }

  private func takeFiles(_ count: Int) throws(Problem) {
    try account.take(count, of: .filesInFlight)
    fileCount += count
  }

  /// Whether the client may still have to receive files that were sent.
  var hasSentFiles: Bool { sentFileCount > 0 }

  /// Refunds the files that were sent, if the client has received everything.
  func settle() {
    guard sentFileCount > 0, !socket.hasUnread else { return }
    account.giveBack(sentFileCount, of: .filesInFlight)
    sentFileCount = 0
  }

  /// Refunds a reply that was sent; `settle` refunds its files once they are received.
  func giveBack(reply replyByteCount: Int, files replyFileCount: Int) {
    if replyByteCount > Connection.freeByteCount {
      account.giveBack(replyByteCount * RequestShare.replyFactor, of: .messages)
      byteCount -= replyByteCount * RequestShare.replyFactor
    }
    sentFileCount += replyFileCount
    fileCount -= replyFileCount
  }

  /// Whether the call has taken nothing.
  var isEmpty: Bool { byteCount == 0 && fileCount == 0 }

  /// Refunds what the call took, except what belongs to calls that were read ahead.
  func giveBack(keeping backlog: (byteCount: Int, fileCount: Int) = (0, 0)) {
    let kept = backlog.byteCount * RequestShare.requestFactor
    if byteCount > kept { account.giveBack(byteCount - kept, of: .messages) }
    if fileCount > backlog.fileCount {
      account.giveBack(fileCount - backlog.fileCount, of: .filesInFlight)
    }
    byteCount = kept
    fileCount = backlog.fileCount
  }

  deinit {
    giveBack()
    account.giveBack(sentFileCount, of: .filesInFlight)
  }
}
