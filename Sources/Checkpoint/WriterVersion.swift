import WarmstartProtobuf
import WarmstartTensorModel

/// Which readers the writer of a checkpoint had in mind: TensorFlow's `VersionDef`.
struct WriterVersion {
  /// The version of the formats that this module reads, as TensorFlow counts.
  private static let current: Int32 = 1

  private var producer: Int32 = 0
  private var minimumConsumer: Int32 = 0
  /// Whether the current version is among those that must not read the checkpoint.
  private var excludesCurrent = false

  /// Parses a `VersionDef`; what it has replaces what an earlier one had, as protobuf merges messages.
  mutating func merge(parsing message: Span<UInt8>) throws(MessageError) {
    var reader = FieldReader(message)
    while let field = try reader.next() {
      switch field {
      case (1, .varint(let value)): producer = Int32(truncatingIfNeeded: value)
      case (2, .varint(let value)): minimumConsumer = Int32(truncatingIfNeeded: value)
      case (3, .varint(let value)): exclude(value)
      case (3, .bytes(let range)):
        var numbers = FieldReader(message.extracting(range))
        while let number = try numbers.nextVarint() { exclude(number) }
      default: break
      }
    }
  }

  private mutating func exclude(_ consumer: UInt64) {
    if Int32(truncatingIfNeeded: consumer) == WriterVersion.current { excludesCurrent = true }
  }

  /// Throws if the writer says that readers of the current version must not read the checkpoint.
  func expectReadable(_ file: () -> String) throws(Problem) {
    let current = WriterVersion.current
    func refusal(_ fault: String) -> Problem { Problem(.versionMismatch, "\(file()): \(fault)") }
    if producer < 0 {
      throw refusal(
        "checkpoint producer version \(producer) below min producer 0 supported; save it again")
    }
    if minimumConsumer > current {
      throw refusal(
        "checkpoint min consumer version \(minimumConsumer) above current version \(current); "
          + "it takes a newer reader")
    }
    if excludesCurrent {
      throw refusal(
        "checkpoint disallows consumer version \(current), the one there is; save it again")
    }
  }
}
