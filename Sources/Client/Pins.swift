import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

extension Checkpoint {
  /// Keeps the checkpoint resident, with everything that was read or made of it, after all leases
  /// have ended.
  ///
  /// Only a client of the administrators' socket may pin. The pin ends with `Client.unpin`, with the
  /// daemon, or when the checkpoint's index is deleted.
  ///
  /// - Parameter timeout: How long to wait; nil for as long as it takes.
  /// - Throws: `WarmstartError` with the reason `unsupported` on another socket;
  ///   `checkpointChanged`, `connection` or `deadline`.
  public func pin(timeout: Duration? = nil) throws(WarmstartError) {
    try call(.pin, until: Deadline(timeout), starting: {}) { reference, frame, scratch in
      frame.begin(OpenRequest(reference), scratch)
    } read: { bytes, scratch, _ throws(MessageError) in
      try PinReply(unpacking: bytes, scratch).checkpoint
    }
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
  /// - Throws: `WarmstartError` with the reason `checkpointNotFound` if no such checkpoint is pinned;
  ///   `unsupported` on another socket than the administrators'; `connection` or `deadline`.
  public func unpin(generation: String, timeout: Duration? = nil) throws(WarmstartError) {
    try call(.unpin, until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in
        frame.begin(GenerationRequest(generation: generation))
      }
      return []
    } read: { _, _, _ in
    }
  }

  /// Evicts a checkpoint that is neither leased nor pinned, or all of these.
  ///
  /// - Parameters:
  ///   - generation: The checkpoint, as `StatusReport` names it; nil for all.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: How many checkpoints were evicted.
  /// - Throws: `WarmstartError` with the reason `checkpointNotFound` if no such checkpoint is
  ///   resident, `inUse` if it is leased or pinned; `unsupported` on another socket than the
  ///   administrators'; `connection` or `deadline`.
  @discardableResult
  public func evict(
    generation: String? = nil, timeout: Duration? = nil
  ) throws(WarmstartError) -> Int {
    // The protocol has no text for all.
    guard generation != "" else {
      throw WarmstartError(.invalidRequest, "the generation to evict is empty, expected 16 digits")
    }
    var count = 0
    try call(.evict, until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in
        frame.begin(GenerationRequest(generation: generation ?? ""))
      }
      return []
    } read: { bytes, scratch, _ throws(MessageError) in
      count = try EvictReply(unpacking: bytes, scratch).checkpointCount
    }
    return count
  }
}
