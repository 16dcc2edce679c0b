import SystemPackage
import WarmstartKernel
import WarmstartLocate
import WarmstartMessages
import WarmstartTensorModel

/// A run of memory that is mapped: a file of the checkpoint, or an arena that the daemon filled.
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
    /// The kernel lets nobody change the bytes: not the daemon, not the owner of the files.
    case sealed
    /// The bytes change if the owner of the file overwrites it, which a checkpoint's writer does not do.
    case bestEffort = "best-effort"
  }

  /// Distinguishes the regions of one client; the same arena has the same number.
  public let id: UInt64
  /// What the memory is.
  public let kind: Kind
  /// Whether the bytes can change.
  public let stability: Stability
  /// Whether this process may write its own copy.
  public let isWritable: Bool
  let mapping: Mapping
  /// Where in the region the mapping begins.
  private let start: Int

  /// What a plan's tensors are in: nothing.
  static let planned = Region()

  private init() {
    (id, kind, stability, isWritable) = (0, .planned, .bestEffort, false)
    (mapping, start) = (Mapping(), 0)
  }

  /// Maps what the tensors need, after checking that it is what the daemon says.
  init(
    _ region: ResolveReply.Region, _ arena: File?, _ extent: Range<Int>, in checkpoint: Checkpoint,
    _ options: Resolved.Options
  ) throws(WarmstartError) {
    id = region.id
    stability = Stability(rawValue: region.stability) ?? .bestEffort
    isWritable = options.copyOnWrite
    switch region.place {
    case .arena:
      guard let arena, SealedArena.isSealed(arena.descriptor) else {
        throw WarmstartError(.connection, "the daemon sent an arena that is not sealed")
      }
      kind = .arena
      start = extent.lowerBound
      mapping = try Region.map(arena, extent, options)
    case .file(let position):
      guard !options.sealed, let part = checkpoint.part(position) else {
        throw WarmstartError(
          .connection, "the daemon named file \(position), which was not asked for")
      }
      kind = .file
      if options.copyOnWrite {
        start = extent.lowerBound
        mapping = try Region.map(part.file, extent, options)
      } else {
        // What nobody can write, all tensors of the checkpoint share.
        start = 0
        mapping = try checkpoint.mapping(position) { () throws(WarmstartError) in
          try Region.map(part.file, 0..<region.byteCount, options)
        }
        guard extent.upperBound <= mapping.byteCount else {
          throw WarmstartError(
            .connection, "the daemon named bytes past the end of file \(position)")
        }
      }
    }
  }

  private static func map(
    _ file: File, _ extent: Range<Int>, _ options: Resolved.Options
  ) throws(WarmstartError) -> Mapping {
    do throws(Errno) {
      // A mapping past the end would fault when it is touched.
      guard try file.status().size >= extent.upperBound else { throw .invalidArgument }
      return try Mapping(
        file.descriptor, offset: extent.lowerBound, byteCount: extent.count,
        access: options.copyOnWrite ? .copyOnWrite : .readOnly)
    } catch {
      throw WarmstartError(
        .system, "cannot map \(extent.count) bytes at \(extent.lowerBound): \(error)",
        underlying: error)
    }
  }

  func withMutableBytes<Result>(
    _ range: Range<Int>, _ body: (inout MutableRawSpan) -> Result
  ) -> Result {
    mapping.withMutableBytes(mapped(range), body)
  }

  /// A range of the region as a range of the mapping; a tensor without bytes may lie anywhere.
  func mapped(_ range: Range<Int>) -> Range<Int> {
    range.isEmpty ? 0..<0 : range.lowerBound - start..<range.upperBound - start
  }
}
