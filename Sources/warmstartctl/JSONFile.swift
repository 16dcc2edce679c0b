import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// A file of JSON that a person wrote, and all that is found to be wrong with it.
///
/// What is wrong is noted with its place and reading goes on, so that one run shows all of it.
final class JSONFile {
  /// At most this many notes are kept, and the others counted: to find a note's place all bytes before
  /// it are looked at.
  ///
  /// Chosen, not tuned.
  private static let maximumNoteCount = 100
  /// A request of more bytes than this could not be sent; chosen, not tuned.
  private static let maximumByteCount = 1 << 28

  let path: String
  private let bytes: [UInt8]
  private let value: JSONValue
  private var notes: [(offset: Int, message: String)] = []
  private var noteCount = 0

  /// Reads a file, which may be a pipe; throws what the system says, or that it is not JSON.
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

  /// The file's value.
  var root: JSONEntry { JSONEntry(value, .root, self) }

  /// The place of a byte.
  func place(of offset: Int) -> TextPlace { TextPlace(of: offset, in: bytes) }

  /// Notes what is wrong at a byte.
  func note(_ message: String, at offset: Int) {
    noteCount += 1
    if notes.count < JSONFile.maximumNoteCount { notes.append((offset, message)) }
  }

  /// Throws what was noted, in the order of the file; nothing if nothing was.
  func expectNoNotes() throws(Failure) {
    guard !notes.isEmpty else { return }
    let problems = notes.sorted { $0.offset < $1.offset }.map { note in
      Problem(.invalidRequest, "\(path):\(place(of: note.offset)): \(note.message)")
    }
    throw Failure(problems, count: noteCount)
  }
}
