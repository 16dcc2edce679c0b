import WarmstartKernel

/// A connection on its way from the main loop to the thread that will close it.
///
/// Closing a socket closes the files that lie unread in it, and a client's file may hang. So whoever
/// takes the socket out owns it alone: no reference of the main loop can be the last one.
final class Handover: Sendable {
  private let number: Monitor<CInt?>

  init(_ descriptor: consuming Descriptor) {
    number = Monitor(descriptor.release())
  }

  deinit {
    _ = take()
  }

  /// Takes the socket out; nil if somebody has.
  func take() -> Socket? {
    number.withLock { $0.take() }.map { Socket(Descriptor(adopting: $0)) }
  }
}
