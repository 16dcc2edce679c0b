import SystemPackage
import WarmstartTensorModel

/// The checkpoints in a directory, as the names of its files show them.
struct Neighbours {
  private struct Neighbour: Hashable {
    /// What wrote it: the last kind is the best guess.
    enum Kind: Int {
      /// A file of another format, or a pattern of such files.
      case model
      /// A file that lists the tensors of such files.
      case weightMap
      /// A checkpoint of TensorFlow.
      case tensorFlow
    }

    /// The path to name: a V2 prefix, the pattern of a V1 checkpoint's tables, a weight map, a file
    /// of another format, or the pattern of such files.
    let name: String
    /// The name without the pattern and the suffix.
    let base: String
    let kind: Kind
    /// The number at the end of the base, as TensorFlow counts steps; -1 for a base without one.
    let step: Int

    init(_ kind: Kind, name: String, base: String) {
      (self.kind, self.name, self.base) = (kind, name, base)
      let digits = base.reversed().prefix { $0.isASCII && $0.isWholeNumber }
      step = Int(String(digits.reversed())) ?? -1
    }

    /// Whether this is a better guess than another.
    func precedes(_ other: Neighbour) -> Bool {
      guard kind == other.kind else { return kind.rawValue > other.kind.rawValue }
      return (step, name) > (other.step, other.name)
    }
  }

  /// The most checkpoints that are kept, by the greatest steps; chosen, not tuned.
  private static let maximumCount = 4096

  /// How the names of other formats' files end that mostly hold a model.
  private static let suffixes = [
    ".safetensors", ".pt", ".pth", ".ckpt", ".h5", ".hdf5", ".keras", ".npz", binSuffix,
  ]

  /// Of files that end so, only those that are called models count.
  private static let binSuffix = ".bin"

  /// How the names of files end that list the tensors of others.
  private static let mapSuffixes = [".safetensors.index.json", ".bin.index.json", ".weights.json"]

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
    latestFirst.first { $0.kind == .tensorFlow && $0.base == name && $0.name != name }.map {
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
    // A model in several files and the file that lists them are one.
    var bases: Set<String> = []
    let longer = latestFirst.filter {
      PathText.has($0.base, prefix: name) && bases.insert($0.base).inserted
    }
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
      return prefix.isEmpty ? nil : Neighbour(.tensorFlow, name: prefix, base: prefix)
    }
    guard ShardName.prefix(ofDataFile: PathText(name)) == nil,
      let (base, shard) = ShardName.split(table: name), !base.isEmpty
    else { return weightMap(name) ?? modelFile(name) }
    return Neighbour(.tensorFlow, name: "\(base)-\(shard.pattern)", base: base)
  }

  /// The first of some suffixes that a name has, and the rest of the name.
  private static func split(_ name: String, _ suffixes: [String]) -> (base: String, suffix: String)?
  {
    for suffix in suffixes {
      if let base = PathText(name).dropping(suffix), !base.isEmpty { return (base, suffix) }
    }
    return nil
  }

  private static func weightMap(_ name: String) -> Neighbour? {
    split(name, mapSuffixes).map { Neighbour(.weightMap, name: name, base: $0.base) }
  }

  /// A file of another format, or one of several that hold a model together.
  private static func modelFile(_ name: String) -> Neighbour? {
    guard let (base, suffix) = split(name, suffixes) else { return nil }
    let parts = base.split(separator: "-", omittingEmptySubsequences: false)
    func isNumber(_ part: Substring) -> Bool {
      part.utf8.count == 5 && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
    let stem = parts.dropLast(3).joined(separator: "-")
    let isOneOfSeveral =
      !stem.isEmpty && parts[parts.count - 2] == "of" && isNumber(parts[parts.count - 3])
      && isNumber(parts[parts.count - 1])
    guard suffix != binSuffix || (isOneOfSeveral ? stem : base).hasSuffix("model") else {
      return nil
    }
    guard isOneOfSeveral else { return Neighbour(.model, name: name, base: base) }
    return Neighbour(
      .model, name: "\(stem)-?????-of-\(parts[parts.count - 1])\(suffix)", base: stem)
  }
}
