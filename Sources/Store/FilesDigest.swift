package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

/// The SHA-256 of a resident's files, which the first call that expects one computes.
enum FilesDigest {
  case unknown
  // A call is computing it.
  case computing(Flight)
  case known([UInt8])
}

extension Resident {
  /// The SHA-256 of the files, 32 bytes; nil unless a call has asked for it.
  package var sha256: [UInt8]? {
    guard case .known(let digest) = digest.withLock({ $0 }) else { return nil }
    return digest
  }
}

extension Lease {
  /// Compares the SHA-256 of the checkpoint's files with the one that a client expects.
  ///
  /// Reads all files, unless a call has done so for this generation; waits if one is doing so.
  ///
  /// - Parameter note: Called repeatedly while files are read, with the bytes that were read and
  ///   those of all files.
  /// - Throws: CHECKSUM_MISMATCH if they differ; CHECKPOINT_NOT_FOUND if a file is missing, and the
  ///   problems of reading.
  package func expect(
    _ expected: [UInt8], from files: FileSet, for caller: Caller,
    note: ((_ readByteCount: Int, _ totalByteCount: Int) -> Void)? = nil
  ) throws(Problem) {
    let digested = try files.digested(resident.checkpoint)
    let found = try sha256(of: digested, in: files, for: caller, note)
    guard found != expected else { return }
    throw Problem(
      .checksumMismatch,
      "the checkpoint's files have the SHA-256 \(found.hexadecimal), expected "
        + "\(expected.hexadecimal), as printed by: \(files.sha256Command(of: digested))")
  }

  private func sha256(
    of digested: [FileSet.Member], in files: FileSet, for caller: Caller,
    _ note: ((Int, Int) -> Void)?
  ) throws(Problem) -> [UInt8] {
    let total = digested.reduce(0) { sum, member in
      let (next, overflow) = sum.addingReportingOverflow(member.status.size)
      return overflow ? .max : next
    }
    while true {
      if let known = resident.sha256 { return known }
      let found = try store.loadSlots.run(caller, of: self.caller) { () throws(Problem) in
        try claimAndCompute(of: digested, total, in: files, for: caller, note)
      }
      switch found {
      case .known(let digest): return digest
      case .computing(let other):
        let look = note.map { note in { note(Int(other.readPart * Double(total / 2)) * 2, total) } }
        try caller.wait(for: other, look: look)
      case .unknown: continue
      }
    }
  }

  private func claimAndCompute(
    of digested: [FileSet.Member], _ total: Int, in files: FileSet, for caller: Caller,
    _ note: ((Int, Int) -> Void)?
  ) throws(Problem) -> FilesDigest {
    let flight = Flight()
    let found = resident.digest.withLock { state in
      let found = state
      if case .unknown = state { state = .computing(flight) }
      return found
    }
    guard case .unknown = found else { return found }
    defer { flight.end() }
    do {
      flight.expect(total)
      let (warm, overflow) = store.figures.holdings.verifiedByteCount.addingReportingOverflow(total)
      var readByteCount = 0
      let digest = try files.sha256(
        of: digested, keepsCached: !overflow && warm <= store.warmFileLimit
      ) { () throws(Problem) in
        // While other calls wait for the result, the work goes on even if its caller has gone.
        if !flight.isAwaited { try caller.checkIn() }
      } didRead: { count in
        flight.didRead(count)
        readByteCount += count
        note?(readByteCount, total)
      }
      resident.digest.withLock { $0 = .known(digest) }
      return .known(digest)
    } catch {
      resident.digest.withLock { $0 = .unknown }
      throw error
    }
  }
}
