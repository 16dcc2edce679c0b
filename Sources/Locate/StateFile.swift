import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// The file `checkpoint` of a directory, which names the directory's latest checkpoint.
struct StateFile {
  /// The file's name, the same in every directory.
  static let name = "checkpoint"

  /// The longest state file that is read, in bytes: some 40,000 kept checkpoints.
  ///
  /// Chosen, not tuned.
  static let maximumByteCount = 4 << 20

  /// The file's own path.
  let path: String
  /// The value of `model_checkpoint_path`: never empty.
  let modelCheckpointPath: PathText

  /// Reads a directory's state file.
  init(of directory: PathText) throws(LocateError) {
    path = directory.joined(PathText(Self.name)).text
    let bytes = try Self.read(path, directory)
    let value: String
    do throws(TextFormat.Refusal) {
      value = try TextFormat.modelCheckpointPath(in: bytes)
    } catch {
      let nearest = Hint.latest(in: directory)
      if GitLFS.isPointer(bytes) {
        throw .stateMalformed(
          state: path, line: 1, column: 1,
          expected: "a state file, not a Git LFS pointer: fetch it with `git lfs pull`",
          nearest: nearest)
      }
      let (line, column) = Self.place(of: error.offset, in: bytes)
      throw .stateMalformed(
        state: path, line: line, column: column, expected: error.expected, nearest: nearest)
    }
    guard !value.isEmpty else {
      throw .statePathEmpty(state: path, nearest: Hint.latest(in: directory))
    }
    modelCheckpointPath = PathText(value)
  }

  private static func read(_ path: String, _ directory: PathText) throws(LocateError) -> [UInt8] {
    guard let found = try OpenFile(FilePath(path)) else {
      let nearest = Hint.latest(in: directory)
      if nearest == nil, Orbax.owns(directory) { throw .orbax(directory: directory.text) }
      throw .stateMissing(directory: directory.text, nearest: nearest)
    }
    guard found.isRegular else {
      throw .stateNotRegular(state: path, nearest: Hint.latest(in: PathText(path)))
    }
    var bytes: [UInt8]?
    if found.byteCount <= maximumByteCount {
      do throws(Errno) {
        bytes = try found.file.readAll(limit: found.byteCount)
      } catch {
        throw LocateError(error, path: path)
      }
    }
    guard let bytes else { throw .stateTooLong(state: path, limit: maximumByteCount) }
    return bytes
  }

  /// The line and the column of a byte, both from 1; a column is a character.
  private static func place(of offset: Int, in bytes: [UInt8]) -> (line: Int, column: Int) {
    let before = bytes[..<offset]
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    let isStart: (UInt8) -> Bool = { $0 & 0xC0 != 0x80 }
    let line = before.count { $0 == UInt8(ascii: "\n") } + 1
    return (line, before[lineStart...].count(where: isStart) + 1)
  }
}
