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

/// Returns a number of bytes for people: `27.4 MiB`.
func bytesText(_ count: Int) -> String {
  var tenths = (count, 0)
  var unit = "B"
  for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] where tenths.0 >= 1024 {
    tenths = (tenths.0 / 1024, tenths.0 % 1024 * 10 / 1024)
    unit = larger
  }
  return unit == "B" ? "\(count) B" : "\(tenths.0).\(tenths.1) \(unit)"
}
