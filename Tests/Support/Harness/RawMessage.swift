/// A protobuf message that a test builds field by field, right or wrong, and the frame around it.
public struct RawMessage: Sendable {
  /// The message so far.
  public var bytes: [UInt8]

  /// Starts with bytes, which need not be fields.
  public init(_ bytes: [UInt8] = []) {
    self.bytes = bytes
  }

  /// The bytes of a varint.
  public static func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  /// The message with a number added.
  public func adding(_ field: UInt64, _ value: UInt64) -> RawMessage {
    RawMessage(bytes + RawMessage.varint(field << 3) + RawMessage.varint(value))
  }

  /// The message with bytes added, for example those of a string or of another message.
  public func adding(_ field: UInt64, _ contents: [UInt8]) -> RawMessage {
    RawMessage(
      bytes + RawMessage.varint(field << 3 | 2) + RawMessage.varint(UInt64(contents.count))
        + contents)
  }

  /// The message with a string added.
  public func adding(_ field: UInt64, _ text: String) -> RawMessage {
    adding(field, Array(text.utf8))
  }

  /// The bytes of a packed column of `fixed32` or `sfixed32`.
  public static func fixed32(_ values: [Int]) -> [UInt8] {
    values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }

  /// The bytes of a packed column of `fixed64` or `sfixed64`.
  public static func fixed64(_ values: [Int]) -> [UInt8] {
    values.flatMap { value in
      (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }

  /// The bytes of the message `Names`.
  public static func names(_ names: [String]) -> [UInt8] {
    RawMessage().adding(1, names.joined()).adding(2, fixed32(names.map(\.utf8.count))).bytes
  }

  /// The message's frame, with right flags and length unless a test passes others.
  public func frame(flags: UInt8 = 0, byteCount: Int? = nil) -> [UInt8] {
    let count = UInt32(byteCount ?? bytes.count)
    return [flags] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * UInt32($0))) }
      + bytes
  }
}
