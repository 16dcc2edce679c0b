import WarmstartTable

/// What the bytes of a stored run are compared with.
package enum StoredChecksum: Sendable, Hashable {
  /// Nothing: the files have no checksum of these bytes alone.
  case none
  /// The masked CRC-32C of the run.
  case masked(UInt32)
  /// The CRC-32 of a zip entry that ends with the run; `head` is that of the entry's bytes before
  /// it.
  case zip(UInt32, head: UInt32)

  /// The checksum that the archive has for an entry that ends with the run; PyTorch stores 0 for
  /// those that it did not compute.
  init(ofEntry checksum: UInt32, head: UInt32 = 0) {
    self = checksum == 0 ? .none : .zip(checksum, head: head)
  }

  /// A number that differs if the checksum does, mostly.
  var digest: UInt64 {
    switch self {
    case .none: 0
    case .masked(let value): UInt64(value)
    case .zip(let value, let head): UInt64(head) << 32 | UInt64(value)
    }
  }
}

/// The checksum of a stored run's bytes so far.
struct RunChecksum {
  private enum State {
    case none
    case castagnoli(Checksum, masked: UInt32)
    case zip(CRC32, expected: UInt32)
  }

  private var state: State

  /// Begins before the first byte of a run, or after bytes whose checksum is given.
  init(_ stored: StoredChecksum, resuming checksum: Checksum = Checksum()) {
    state =
      switch stored {
      case .none: .none
      case .masked(let value): .castagnoli(checksum, masked: value)
      case .zip(let value, let head): .zip(CRC32(resuming: head), expected: value)
      }
  }

  /// Extends the checksum by bytes.
  mutating func update(_ bytes: RawSpan) {
    switch state {
    case .none: break
    case .castagnoli(var checksum, let masked):
      checksum.update(bytes)
      state = .castagnoli(checksum, masked: masked)
    case .zip(var checksum, let expected):
      checksum.update(bytes)
      state = .zip(checksum, expected: expected)
    }
  }

  /// Why the bytes are not those that were stored: the stored and the calculated checksum; else
  /// nil.
  var mismatch: String? {
    switch state {
    case .none: nil
    case .castagnoli(let checksum, let masked):
      checksum.masked == masked
        ? nil : "stored \(Checksum.unmask(masked)), calculated \(checksum.value)"
    case .zip(let checksum, let expected):
      checksum.value == expected
        ? nil : "the zip archive has \(expected), calculated \(checksum.value)"
    }
  }
}

extension Checkpoint {
  /// The stored bytes of tensors that the files have no checksum of.
  package var uncheckedByteCount: Int {
    guard records == nil else { return 0 }
    return stored.reduce(0) { sum, run in
      guard run.checksum == .none else { return sum }
      let (next, overflow) = sum.addingReportingOverflow(max(0, run.byteCount))
      return overflow ? .max : next
    }
  }
}
