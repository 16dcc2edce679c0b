import Store
import TensorModel
import Wire

/// What a call takes of its user's messages and files in flight until it is answered.
///
/// Belongs to the thread that answers.
final class RequestShare {
  /// What a request takes: its bytes, up to sixteen times as much unpacked, and what is made of it.
  private static let requestFactor = 20
  /// What a reply takes while it waits to be read: its frame, and room that a buffer has to spare.
  private static let replyFactor = 2

  private let account: Account
  private var byteCount = 0
  private var fileCount = 0

  init(_ account: Account) {
    self.account = account
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
    if fileCount > 0 { try takeFiles(fileCount) }
  }

  private func takeBytes(_ count: Int) throws(Problem) {
    try account.take(count, of: .messages)
    byteCount += count
  }

  private func takeFiles(_ count: Int) throws(Problem) {
    try account.take(count, of: .filesInFlight)
    fileCount += count
  }

  /// Gives back what one reply took, which has gone.
  func giveBack(reply replyByteCount: Int, files replyFileCount: Int) {
    if replyByteCount > Connection.freeByteCount {
      account.giveBack(replyByteCount * RequestShare.replyFactor, of: .messages)
      byteCount -= replyByteCount * RequestShare.replyFactor
    }
    if replyFileCount > 0 { account.giveBack(replyFileCount, of: .filesInFlight) }
    fileCount -= replyFileCount
  }

  /// Gives back everything.
  func giveBack() {
    if byteCount > 0 { account.giveBack(byteCount, of: .messages) }
    if fileCount > 0 { account.giveBack(fileCount, of: .filesInFlight) }
    byteCount = 0
    fileCount = 0
  }

  deinit {
    giveBack()
  }
}
