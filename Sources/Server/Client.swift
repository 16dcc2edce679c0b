import WarmstartCheckpoint
package import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel

/// A connection that a session serves, on the thread that owns it.
package final class Client: Sendable {
  package let socket: Socket
  private let place: Place
  private let supplementaryGroups = Lazy<[UInt32]>()
  private var clients: Clients { place.clients }

  package var id: UInt64 { place.id }
  package var peer: Socket.Peer { place.peer }
  package var endpoint: Endpoint { place.endpoint }
  var account: Account { place.account }

  /// The groups of the client's process; the first call asks the kernel.
  var groups: [UInt32] {
    supplementaryGroups.value { [socket, peer] in
      // The first group alone proves less, so a failure only refuses.
      [peer.gid] + ((try? socket.peerGroups()) ?? [])
    }
  }

  init(_ socket: Socket, at place: Place) {
    self.socket = socket
    self.place = place
    place.clients.change(place.id) { $0.socket = Clients.Weak(socket: socket) }
  }

  /// Charges files that the connection keeps; throws `quota` if the user may not have that many.
  ///
  /// The files that it has when it ends are refunded.
  func keepFiles(_ count: Int, in store: Store, _ caller: Caller) throws(Problem) {
    try store.takeFiles(count, for: account, caller)
    place.counts.files.add(count)
  }

  /// Refunds files that are closed.
  func dropFiles(_ count: Int) {
    account.giveBack(count, of: .descriptors)
    place.counts.files.add(-count)
  }

  func introduce(label: String, command: String) {
    // Before the lock.
    let (label, command) = (Client.capped(label), Client.capped(command))
    clients.change(id) {
      $0.label = label
      $0.command = command
    }
  }

  func countCall() {
    place.counts.calls.add(1)
  }

  /// Counts a call that is answered and whose memory is free again.
  func endCall() {
    clients.endedCalls.add(1)
  }

  /// Notes which checkpoints the connection has open.
  func note(leases: [Generation]) {
    clients.change(id) { $0.leases = leases }
  }

  /// Shortens and escapes a client's text, which status reports and the log show to people.
  ///
  /// The limit is for the escaped text: an escaped character takes several bytes, and a report may
  /// have thousands of texts.
  static func capped(_ text: String) -> String {
    prefix(prefix(text).printable)
  }

  private static func prefix(_ text: String) -> String {
    let maximumByteCount = 256
    guard text.utf8.count > maximumByteCount else { return text }
    return String(decoding: text.utf8.prefix(maximumByteCount), as: UTF8.self)
  }
}
