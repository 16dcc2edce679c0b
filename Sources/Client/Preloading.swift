import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
public import WarmstartTensorModel

extension Checkpoint {
  /// How much of a checkpoint is ready, while the daemon reads it.
  public struct Progress: Sendable, Hashable {
    /// The stored bytes that were read and verified so far.
    public let readyByteCount: Int
    /// The stored bytes of all tensors.
    public let totalByteCount: Int
  }

  /// What a preload or a verification read.
  public struct Preloaded: Sendable, Hashable {
    /// The number of tensors that were read, or were ready before.
    public let tensorCount: Int
    /// The stored bytes of these tensors.
    public let byteCount: Int
    /// The stored bytes that the files have no checksum of: nothing shows that they have changed.
    public let uncheckedByteCount: Int
    /// Tensors that the daemon does not share, such as variants, and therefore did not read; at
    /// most a thousand.
    public let unshared: [Problem]
  }

  /// Has the daemon read and verify all tensors, so that later jobs wait for nothing.
  ///
  /// The bytes stay warm as long as anything leases the checkpoint or pins it, and for the daemon's
  /// `--linger` after that. When memory is short, arenas that no job maps give way, unless they are
  /// pinned. A damaged tensor does not keep the others from being read.
  ///
  /// - Parameters:
  ///   - alignment: As in `Resolved.Options`: tensors that lie at other addresses in their file are
  ///     made in arenas. TensorFlow, JAX and DLPack need 64.
  ///   - sealed: As in `Resolved.Options`: all tensors are made in arenas.
  ///   - strides: As in `Resolved.Options`: views with steps are verified where they lie, and not
  ///     copied.
  ///   - expectation: What the files must be; nil for anything.
  ///   - timeout: How long to wait; nil for as long as it takes.
  ///   - progress: Called up to ten times a second on this thread.
  /// - Returns: What was read.
  /// - Throws: `WarmstartError` with the reason `checksumMismatch`, `corrupt` or `truncated` and a
  ///   problem for each damaged tensor; `checkpointChanged`, `invalidRequest`, `unsupported`,
  ///   `quota`, `budget`, `system`, `deadline` or `connection`.
  @discardableResult
  public func preload(
    alignment: Int = 0, sealed: Bool = false, strides: Bool = false,
    expecting expectation: Expectation? = nil, timeout: Duration? = nil,
    progress: (Progress) -> Void = { _ in }
  ) throws(WarmstartError) -> Preloaded {
    try readAll(
      alignment: alignment, sealed: sealed, strides: strides, readAgain: false, expectation,
      timeout, progress)
  }

  /// Has the daemon read all stored bytes from the files again and compare their checksums.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait; nil for as long as it takes.
  ///   - progress: Called up to ten times a second on this thread.
  /// - Returns: What was read.
  /// - Throws: `WarmstartError` with the reasons of `preload`.
  @discardableResult
  public func verify(
    timeout: Duration? = nil, progress: (Progress) -> Void = { _ in }
  ) throws(WarmstartError) -> Preloaded {
    try readAll(
      alignment: 0, sealed: false, strides: false, readAgain: true, nil, timeout, progress)
  }

  private func readAll(
    alignment: Int, sealed: Bool, strides: Bool, readAgain: Bool, _ expectation: Expectation?,
    _ timeout: Duration?,
    _ progress: (Progress) -> Void
  ) throws(WarmstartError) -> Preloaded {
    guard UInt32(exactly: alignment) != nil else {
      throw WarmstartError.invalid(alignment: alignment)
    }
    var last: PreloadReply?
    let expected = try expectation?.digest
    try call(
      .preload, features: expected == nil ? [] : [Expectation.feature], until: Deadline(timeout),
      starting: { last = nil }
    ) { reference, frame, _ in
      var reference = reference
      if let expected { reference.expectedSHA256 = expected }
      var request = PreloadRequest(reference)
      (request.alignment, request.sealed) = (alignment, sealed)
      (request.strides, request.readAgain) = (strides, readAgain)
      frame.begin(request)
    } read: { bytes, scratch, _ throws(MessageError) in
      let reply = try PreloadReply(unpacking: bytes, scratch)
      guard let done = reply.progress else {
        last = reply
        return reply.checkpoint
      }
      progress(
        Progress(readyByteCount: done.readyByteCount, totalByteCount: done.totalByteCount))
      return nil
    }
    guard let last else {
      throw WarmstartError(.connection, "malformed reply: no counts, expected them at the end")
    }
    return Preloaded(
      tensorCount: last.tensorCount, byteCount: last.byteCount,
      uncheckedByteCount: last.uncheckedByteCount, unshared: last.unshared)
  }
}
