import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
public import WarmstartTensorModel
import WarmstartWire

extension Checkpoint {
  /// A checkpoint that lost its name to another.
  public struct Replaced: Sendable, Hashable {
    /// The identity of its bytes.
    public let generation: String
    /// The path under which it was published.
    public let path: String
  }

  /// Keeps the checkpoint resident, with everything that was read or made of it, after all leases
  /// have ended.
  ///
  /// Only a client of the administrators' socket may pin. The pin ends with `Client.unpin`, when
  /// the checkpoint's index is deleted, or when systemd stops the daemon; without systemd, also
  /// when the daemon is restarted.
  ///
  /// - Parameters:
  ///   - publication: A name for clients that cannot open the files, and who may use it; nil for
  ///     none. If another checkpoint has the name, the name moves to this one at once.
  ///   - isLocked: Whether to lock what is warm of the checkpoint into memory until the pin ends,
  ///     so that the kernel takes none of it. Preload the checkpoint before; what is made later is
  ///     not locked until the checkpoint is pinned again.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: The checkpoint that had the name, if it was another; it is no longer pinned, unless
  ///   it has another name.
  /// - Throws: `WarmstartError` with the reason `unsupported` on another socket;
  ///   `checkpointChanged`, `quota`, `connection` or `deadline`. With `isLocked`, also `quota` if
  ///   the daemon may not lock that much, `budget`, and `unsupported` for files on file systems
  ///   that a user can run.
  @discardableResult
  public func pin(
    as publication: Publication? = nil, isLocked: Bool = false, timeout: Duration? = nil
  ) throws(WarmstartError) -> Replaced? {
    var replaced: Replaced?
    try call(
      .pin, features: publication == nil ? [] : ["names"], until: Deadline(timeout),
      starting: { replaced = nil }
    ) { reference, frame, scratch in
      frame.begin(PinRequest(reference, as: publication, isLocked: isLocked), scratch)
    } read: { bytes, scratch, _ throws(MessageError) in
      let reply = try PinReply(unpacking: bytes, scratch)
      if !reply.replacedGeneration.isEmpty {
        replaced = Replaced(generation: reply.replacedGeneration, path: reply.replacedLabel)
      }
      return reply.checkpoint
    }
    return replaced
  }
}

extension Client {
  /// Finds out whether this client is at the administrators' socket.
  ///
  /// - Throws: `WarmstartError` with the reason `unsupported` if not; `connection` or `deadline`.
  package func requireAdministration(timeout: Duration? = nil) throws(WarmstartError) {
    do throws(WarmstartError) {
      // No checkpoint has an empty generation, so this changes nothing.
      try unpin(generation: "", timeout: timeout)
    } catch  where error.reason == .checkpointNotFound {
    }
  }

  /// Ends a checkpoint's pin; the checkpoint stays as long as it is leased, or lingers.
  ///
  /// - Parameters:
  ///   - generation: The checkpoint, as `Checkpoint.generation` and `StatusReport` name it.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Throws: `WarmstartError` with the reason `checkpointNotFound` if no such checkpoint is
  ///   pinned; `unsupported` on another socket than the administrators'; `connection` or
  ///   `deadline`.
  public func unpin(generation: String, timeout: Duration? = nil) throws(WarmstartError) {
    try call(.unpin, until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in
        frame.begin(GenerationRequest(generation: generation))
      }
      return []
    } read: { _, _, _ in
    }
  }

  /// Ends the name of a published checkpoint, and its pin unless it has another name.
  ///
  /// - Parameters:
  ///   - name: The name.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Throws: `WarmstartError` with the reason `checkpointNotFound` for an unknown name;
  ///   `unsupported` on another socket than the administrators'; `connection` or `deadline`.
  public func unpin(_ name: PublishedName, timeout: Duration? = nil) throws(WarmstartError) {
    try call(.unpin, features: ["names"], until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in frame.begin(GenerationRequest(name: name.text)) }
      return []
    } read: { _, _, _ in
    }
  }

  /// Evicts a checkpoint that is neither leased nor pinned, or all of these.
  ///
  /// - Parameters:
  ///   - generation: The checkpoint, as `StatusReport` names it; nil for all.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: How many checkpoints were evicted; for all, also how many stay, and why.
  /// - Throws: `WarmstartError` with the reason `checkpointNotFound` if no such checkpoint is
  ///   resident, `inUse` if it is leased or pinned; `unsupported` on another socket than the
  ///   administrators'; `connection` or `deadline`.
  @discardableResult
  public func evict(
    generation: String? = nil, timeout: Duration? = nil
  ) throws(WarmstartError) -> Evicted {
    // The protocol has no text for all.
    guard generation != "" else {
      throw WarmstartError(.invalidRequest, "the generation to evict is empty, expected 16 digits")
    }
    var evicted = Evicted(checkpointCount: 0, pinnedCount: 0, leasedCount: 0)
    try call(.evict, until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in
        frame.begin(GenerationRequest(generation: generation ?? ""))
      }
      return []
    } read: { bytes, scratch, _ throws(MessageError) in
      evicted = try Evicted(unpacking: bytes, scratch)
    }
    return evicted
  }
}
