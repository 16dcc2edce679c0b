import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// A JSON file that a person wrote, and the problems found in it.
///
/// Each problem is noted with its place and reading goes on, so that one run reports all of them.
final class JSONFile {
  /// The most notes that are kept; further ones are only counted, because finding the line of a
  /// note takes a look at all bytes before it.
  ///
  /// Chosen, not tuned.
  private static let maximumNoteCount = 100
  /// The longest file, in bytes; a longer one would not fit a request.
  ///
  /// Chosen, not tuned.
  private static let maximumByteCount = 1 << 28

  let path: String
  private let bytes: [UInt8]
  private let value: JSONValue
  private var notes: [(offset: Int, message: String)] = []
  private var noteCount = 0

  /// Reads a file, which may be a pipe; throws if the system cannot read it or it is not JSON.
  init(readingFrom path: String) throws(Failure) {
    self.path = path
    let bytes: [UInt8]?
    do {
      let descriptor = try FileDescriptor.open(
        FilePath(path), .readOnly, options: .closeOnExec, retryOnInterrupt: true)
      let file = File(Descriptor(adopting: descriptor.rawValue))
      bytes = try file.readToEnd(limit: JSONFile.maximumByteCount)
    } catch {
      throw Failure("read", path, error as? Errno ?? .ioError)
    }
    guard let bytes else {
      throw Failure(
        .invalidRequest, "\(path): expected at most \(JSONFile.maximumByteCount) bytes")
    }
    do throws(JSONReader.Fault) {
      value = try JSONReader.read(bytes)
    } catch {
      throw Failure(.invalidRequest, "\(path):\(error.place): \(error.message)")
    }
    self.bytes = bytes
  }

  /// The file's outermost value.
  var root: JSONEntry { JSONEntry(value, .root, self) }

  /// Returns the line and column of a byte.
  func place(of offset: Int) -> TextPlace { TextPlace(of: offset, in: bytes) }

  /// Notes a problem at a byte.
  func note(_ message: String, at offset: Int) {
    noteCount += 1
    if notes.count < JSONFile.maximumNoteCount { notes.append((offset, message)) }
  }

  /// Throws the notes, in the order of the file, if there are any.
  func expectNoNotes() throws(Failure) {
    guard !notes.isEmpty else { return }
    let problems = notes.sorted { $0.offset < $1.offset }.map { note in
      Problem(.invalidRequest, "\(path):\(place(of: note.offset)): \(note.message)")
    }
    throw Failure(problems, count: noteCount)
  }
}
