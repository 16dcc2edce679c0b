import SystemPackage
import WarmstartTensorModel

/// The checkpoints in a directory, as the names of its files show them.
struct Neighbours {
  private struct Neighbour: Hashable {
    /// The path to name: a V2 prefix, the pattern of a V1 checkpoint's tables, or a file of another
    /// format, or the pattern of such files.
    let name: String
    /// The name without the pattern and the suffix.
    let base: String
    /// Whether TensorFlow wrote it: these come first.
    let isTensorFlows: Bool
    /// The number at the end of the base, as TensorFlow counts steps; -1 for a base without one.
    let step: Int

    init(name: String, base: String, isTensorFlows: Bool = true) {
      (self.name, self.base, self.isTensorFlows) = (name, base, isTensorFlows)
      let digits = base.reversed().prefix { $0.isASCII && $0.isWholeNumber }
      step = Int(String(digits.reversed())) ?? -1
    }

    /// Whether this is a better guess than another.
    func precedes(_ other: Neighbour) -> Bool {
      guard isTensorFlows == other.isTensorFlows else { return isTensorFlows }
      return (step, name) > (other.step, other.name)
    }
  }

  /// The most checkpoints that are kept, by the greatest steps; chosen, not tuned.
  private static let maximumCount = 4096

  /// How the names of other formats' files end that mostly hold a model.
  private static let suffixes = [
    ".safetensors", ".pt", ".pth", ".ckpt", ".h5", ".hdf5", ".keras", ".npz",
  ]

  /// The directory, ending in a slash; empty for the working directory.
  private let directory: String
  /// The checkpoints with the greatest steps, those first.
  private let latestFirst: [Neighbour]
  /// Whether the directory has more checkpoints than are kept.
  private let areCut: Bool

  /// Lists a directory.
  ///
  /// One that cannot be listed counts as empty.
  init(in directory: PathText) {
    self.directory = directory.joined(PathText("")).text
    var found: Set<Neighbour> = []
    var areCut = false
    let limit = Self.maximumCount
    let place = FilePath(directory.text.isEmpty ? "." : directory.text)
    _ = try? Listing.names(in: place, limit: limit) { name in
      if let neighbour = Neighbours.neighbour(name) { found.insert(neighbour) }
      if found.count >= 2 * limit {
        found = Set(Neighbours.sorted(found).prefix(limit))
        areCut = true
      }
      return false
    }
    areCut = areCut || found.count > limit
    latestFirst = Array(Neighbours.sorted(found).prefix(limit))
    self.areCut = areCut
  }

  private static func sorted(_ neighbours: Set<Neighbour>) -> [Neighbour] {
    neighbours.sorted { $0.precedes($1) }
  }

  /// The checkpoint with the greatest step; nil if the directory has none.
  var latest: String? { latestFirst.first.map { directory + $0.name } }

  /// The V1 checkpoint whose tables' names begin with a name; nil if there is none.
  func shards(of name: String) -> String? {
    latestFirst.first { $0.isTensorFlows && $0.base == name && $0.name != name }.map {
      directory + $0.name
    }
  }

  /// Suggests in words the checkpoint that a name most likely meant; nil if none is similar.
  func nearest(to name: String) -> String? {
    if let same = latestFirst.first(where: {
      name == $0.base || PathText.has(name, prefix: "\($0.base).")
    }) {
      return "'\(directory + same.name)' is there"
    }
    let longer = latestFirst.filter { PathText.has($0.base, prefix: name) }
    if longer.count > 1 {
      let count = areCut ? "" : " of \(longer.count)"
      return "'\(directory + longer[0].name)' is the latest\(count) there"
    }
    var nearest = NearestNames(to: Name(name))
    for neighbour in latestFirst { nearest.offer(Name(neighbour.name)) }
    let found =
      longer.first?.name ?? nearest.names.first.map { String(decoding: $0.bytes, as: UTF8.self) }
      ?? (latestFirst.count == 1 ? latestFirst[0].name : nil)
    return found.map { "'\(directory + $0)' is there" }
  }

  private static func neighbour(_ name: String) -> Neighbour? {
    if let prefix = PathText(name).dropping(".index") {
      return prefix.isEmpty ? nil : Neighbour(name: prefix, base: prefix)
    }
    guard ShardName.prefix(ofDataFile: PathText(name)) == nil,
      let (base, shard) = ShardName.split(table: name), !base.isEmpty
    else { return modelFile(name) }
    return Neighbour(name: "\(base)-\(shard.pattern)", base: base)
  }

  /// A file of another format, or one of several that hold a model together.
  private static func modelFile(_ name: String) -> Neighbour? {
    guard
      let (suffix, base) = suffixes.lazy.compactMap({ suffix in
        PathText(name).dropping(suffix).map { (suffix, $0) }
      }).first, !base.isEmpty
    else { return nil }
    let parts = base.split(separator: "-", omittingEmptySubsequences: false)
    func isNumber(_ part: Substring) -> Bool {
      part.utf8.count == 5 && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
    let stem = parts.dropLast(3).joined(separator: "-")
    guard !stem.isEmpty, parts[parts.count - 2] == "of", isNumber(parts[parts.count - 3]),
      isNumber(parts[parts.count - 1])
    else { return Neighbour(name: name, base: base, isTensorFlows: false) }
    return Neighbour(
      name: "\(stem)-?????-of-\(parts[parts.count - 1])\(suffix)", base: stem, isTensorFlows: false)
  }
}
