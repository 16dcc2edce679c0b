import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// What a call takes of its user's messages and files in flight until it is answered.
///
/// Belongs to the thread that answers.
final class RequestShare {
  /// What a request takes: its bytes, up to sixteen times as much unpacked, and what is made of it.
  private static let requestFactor = 20
  /// What a reply takes while it waits to be read: its frame, and room that a buffer has to spare.
  private static let replyFactor = 2

  private let account: Account
  private let socket: Socket
  private var byteCount = 0
  private var fileCount = 0
  /// Files that were sent, and may not be received yet: until then they count as the daemon's own.
  ///
  /// See `unix(7)`, ETOOMANYREFS.
  private var sentFileCount = 0

  init(_ account: Account, _ socket: Socket) {
    self.account = account
    self.socket = socket
  }

  /// Takes what a frame that is being received costs.
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

  /// Takes what a reply costs that a slow client may leave unread.
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

  /// Whether files that were sent may not be received yet.
  var hasSentFiles: Bool { sentFileCount > 0 }

  /// Gives back the files that were sent if the client has received all.
  func settle() {
    guard sentFileCount > 0, !socket.hasUnread else { return }
    account.giveBack(sentFileCount, of: .filesInFlight)
    sentFileCount = 0
  }

  /// Gives back what one reply took, which has gone; its files are given back once they are received.
  func giveBack(reply replyByteCount: Int, files replyFileCount: Int) {
    if replyByteCount > Connection.freeByteCount {
      account.giveBack(replyByteCount * RequestShare.replyFactor, of: .messages)
      byteCount -= replyByteCount * RequestShare.replyFactor
    }
    sentFileCount += replyFileCount
    fileCount -= replyFileCount
  }

  /// Gives back what the call took, but not what belongs to calls that were read ahead.
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
