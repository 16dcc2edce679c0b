import SystemPackage
import WarmstartKernel
import WarmstartLocate
import WarmstartMessages
import WarmstartTensorModel

/// A run of memory that is mapped: a file of the checkpoint, or an arena that the daemon filled.
///
/// An arena cannot change or shrink. A file can: its owner may overwrite it, which changes the
/// bytes that a job sees, or truncate it. The kernel then ends a job that touches bytes past the
/// new end with the signal SIGBUS, as it does in every program that maps files. `check` finds out
/// whether a file has changed. If a checkpoint's owner may write to its files in place,
/// `Resolved.Options.sealed` asks for arenas only.
public struct Region: Sendable {
  /// What the memory is.
  public enum Kind: String, Sendable, Hashable {
    /// A file of the checkpoint: the page cache itself.
    case file
    /// Anonymous memory that the daemon filled and sealed.
    case arena
    /// No memory: `Resolved.Options.planOnly` asked for none.
    case planned
  }

  /// Whether the bytes of a region can change.
  public enum Stability: String, Sendable, Hashable {
    /// No process can change the bytes, not even the daemon or the owner of the files.
    case sealed
    /// The bytes change if the owner of the file overwrites it, which a checkpoint's writer does
    /// not do.
    case bestEffort = "best-effort"
  }

  /// Distinguishes the regions of one connection to the daemon; the same arena has the same number.
  ///
  /// After a lost connection, numbers may be used again.
  public let id: UInt64
  /// What the memory is.
  public let kind: Kind
  /// Whether the bytes can change.
  public let stability: Stability
  /// Whether `Tensor.writable()` makes copies of the memory: `Resolved.Options.copyOnWrite` asked
  /// for it.
  public var isWritable: Bool { file != nil }
  /// The file of the checkpoint; nil for an arena.
  var part: CheckpointFiles.Part? { parts.isEmpty ? nil : parts[position] }
  /// The files of the checkpoint, and the position of this one among them; none for an arena.
  private let parts: [CheckpointFiles.Part]
  private let position: Int
  /// The file to make writable copies from, if they were asked for.
  let file: File?
  /// Where the bytes are in memory, which the mapping keeps.
  let place: MappedPlace
  private let mapping: Mapping

  /// What a plan's tensors are in: nothing.
  static let planned = Region()

  private init() {
    (id, kind, stability, file, parts, position) = (0, .planned, .bestEffort, nil, [], 0)
    mapping = Mapping()
    place = mapping.place(from: 0)
  }

  /// Maps what the tensors need, after checking that it is what the daemon says.
  init(
    _ region: ResolveReply.Region, _ arena: File?, _ extent: Range<Int>, in checkpoint: Checkpoint,
    _ options: Resolved.Options
  ) throws(WarmstartError) {
    id = region.id
    stability = region.isSealed ? .sealed : .bestEffort
    switch region.place {
    case .arena:
      guard let arena, SealedArena.isSealed(arena.descriptor) else {
        throw WarmstartError(
          .connection,
          "malformed reply: region \(region.id) is an arena without seals, expected a sealed one")
      }
      (kind, parts, position) = (.arena, [], 0)
      mapping = try Region.map(arena, extent)
      place = mapping.place(from: extent.lowerBound)
      file = options.copyOnWrite ? arena : nil
    case .file(let position):
      guard !options.sealed, let source = checkpoint.file(position) else {
        throw WarmstartError(
          .connection,
          "malformed reply: region \(region.id) is file \(position), expected "
            + (options.sealed ? "an arena" : "a file of the request"))
      }
      (kind, parts, self.position) = (.file, checkpoint.parts, position)
      // All tensors of the checkpoint share one mapping of the file.
      mapping = try checkpoint.mapping(position) { () throws(WarmstartError) in
        try Region.map(source, 0..<region.byteCount)
      }
      guard extent.upperBound <= mapping.byteCount else {
        throw WarmstartError(
          .connection,
          "malformed reply: tensors end at byte \(extent.upperBound) of file \(position), which has "
            + "\(mapping.byteCount)")
      }
      place = mapping.place(from: 0)
      file = options.copyOnWrite ? source : nil
    }
  }

  private static func map(_ file: File, _ extent: Range<Int>) throws(WarmstartError) -> Mapping {
    do throws(Errno) {
      // A mapping past the end would fault when it is touched.
      guard try file.status().size >= extent.upperBound else { throw .invalidArgument }
      return try Mapping(file.descriptor, offset: extent.lowerBound, byteCount: extent.count)
    } catch {
      throw WarmstartError(
        .system, "cannot map \(extent.count) bytes at \(extent.lowerBound): \(error)",
        underlying: error)
    }
  }

  /// Whether the daemon says the same of a region of a file, and the tensors lie in what is mapped.
  func isSame(as region: ResolveReply.Region, holding extent: Range<Int>) -> Bool {
    id == region.id && (stability == .sealed) == region.isSealed
      && extent.upperBound <= mapping.byteCount
  }
}
