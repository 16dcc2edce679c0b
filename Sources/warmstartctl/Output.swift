import SystemPackage

/// The command's standard output and standard error.
enum Output {
  /// Writes to standard output; throws if not every byte could be written.
  static func write(_ text: String) throws(Failure) { try write(Array(text.utf8)) }

  /// Writes bytes to standard output; throws if not every byte could be written.
  static func write(_ bytes: [UInt8]) throws(Failure) {
    do { try FileDescriptor.standardOutput.writeAll(bytes) } catch {
      throw Failure("write to", "standard output", error as? Errno ?? .ioError)
    }
  }

  /// Writes to standard error; ignores errors, because there is nowhere to report them.
  static func complain(_ text: String) {
    _ = try? FileDescriptor.standardError.writeAll(text.utf8)
  }
}
