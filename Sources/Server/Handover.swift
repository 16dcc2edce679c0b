import WarmstartKernel

/// A connection on its way from the main loop to the thread that will close it.
///
/// Closing a socket closes the files that lie unread in it, and closing a client's file may hang.
/// So the thread that takes the socket owns it alone: the main loop never holds the last reference.
final class Handover: Sendable {
  private let number: Monitor<CInt?>

  init(_ descriptor: consuming Descriptor) {
    number = Monitor(descriptor.release())
  }

  deinit {
    _ = take()
  }

  /// Takes the socket out; nil if another thread has taken it.
  func take() -> Socket? {
    number.withLock { $0.take() }.map { Socket(Descriptor(adopting: $0)) }
  }
}
