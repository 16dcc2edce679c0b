import WarmstartProtobuf

/// The readers for which a checkpoint was written: TensorFlow's `VersionDef`.
struct WriterVersion {
  /// The version of the formats that this module reads, as TensorFlow counts.
  fileprivate static let current: Int32 = 1

  private var producer: Int32 = 0
  private var minimumConsumer: Int32 = 0
  /// Whether the writer excluded readers of the current version.
  private var excludesCurrent = false

  /// Parses a `VersionDef`.
  ///
  /// Its fields replace those of an earlier one, as protobuf merges messages.
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

  /// Why this reader must not read the checkpoint; nil if it may.
  var fault: Fault? {
    if producer < 0 { return .producer(producer) }
    if minimumConsumer > WriterVersion.current { return .minimumConsumer(minimumConsumer) }
    return excludesCurrent ? .excluded : nil
  }

  /// Why a checkpoint must not be read.
  enum Fault {
    /// The writer has a version below 0, which no writer has.
    case producer(Int32)
    /// The writer requires readers of this later version.
    case minimumConsumer(Int32)
    /// The writer excluded readers of the current version.
    case excluded
  }
}

extension WriterVersion.Fault: CustomStringConvertible {
  /// The fault in TensorFlow's words, and a remedy.
  var description: String {
    let current = WriterVersion.current
    return switch self {
    case .producer(let version):
      "checkpoint producer version \(version) below min producer 0 supported; save it again"
    case .minimumConsumer(let version):
      "checkpoint min consumer version \(version) above current version \(current); "
        + "it takes a newer reader"
    case .excluded:
      "checkpoint disallows consumer version \(current), the one there is; save it again"
    }
  }
}
