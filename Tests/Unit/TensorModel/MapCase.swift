import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// One map of `Tests/Data/Cases/maps.json` or `Tests/Data/Cases/tensorflow-maps.json`.
struct MapCase: SharedCase {
  struct Tensor: Codable {
    let name: EscapedText
    let dtype: String?
    let shape: [Int]?
  }

  struct Variable: Codable {
    struct Place: Codable {
      let of: EscapedText
      let shape: [Int]
      let offset: [Int]
    }

    let name: EscapedText
    let dtype: String?
    let shape: [Int]?
    let hasUnknownRank: Bool?
    let isInStore: Bool?
    let parts: Int?
    let partition: Place?

    enum CodingKeys: String, CodingKey {
      case name, dtype, shape, parts, partition
      case hasUnknownRank = "unknown_rank"
      case isInStore = "in_store"
    }
  }

  struct Pair: Codable {
    let key: EscapedText
    let to: EscapedText?
    let object: EscapedText?
    let objects: [EscapedText]?
  }

  struct Options: Codable {
    let lenient: Bool?
    let skipMissing: Bool?
    let skipMismatched: Bool?
    let requireAll: Bool?

    enum CodingKeys: String, CodingKey {
      case lenient
      case skipMissing = "skip_missing"
      case skipMismatched = "skip_mismatched"
      case requireAll = "require_all"
    }
  }

  struct Assigned: Codable, Equatable {
    let variable: EscapedText
    let tensor: EscapedText
    let starts: [Int]?
    let counts: [Int]?
  }

  struct Skipped: Codable, Equatable {
    let variable: EscapedText
    let tensor: EscapedText
    let shape: [Int]?
  }

  struct Wrong: Codable {
    let reason: String
    let key: EscapedText?
    let variable: EscapedText?
    let tensor: EscapedText?
  }

  let name: String
  let tensors: [Tensor]
  let variables: [Variable]
  let map: [Pair]
  let options: Options?
  let assigned: [Assigned]?
  let skipped: [Skipped]?
  let unused: [Int]?
  let uncovered: [EscapedText]?
  let problems: [Wrong]?
  let first: Wrong?
}

extension MapCase {
  var catalog: Catalog {
    get throws {
      Model.catalog(
        try tensors.map { tensor in
          let dtype = try #require(DataType(name: tensor.dtype ?? "float32"))
          return (Name(tensor.name.bytes), dtype, Shape(tensor.shape ?? [2]), [])
        })
    }
  }

  var declared: [WarmstartTensorModel.Variable] {
    get throws { try variables.flatMap { try $0.declared } }
  }

  var assignmentMap: AssignmentMap {
    get throws { AssignmentMap(try map.map { .init(Name($0.key.bytes), try $0.target) }) }
  }

  var resolutionOptions: Resolution.Options {
    var options: Resolution.Options = []
    if self.options?.lenient == true { options.insert(.lenient) }
    if self.options?.skipMissing == true { options.insert(.skipMissing) }
    if self.options?.skipMismatched == true { options.insert(.skipMismatched) }
    if self.options?.requireAll == true { options.insert(.requireAll) }
    return options
  }
}

extension MapCase.Variable {
  /// The variable, or the partitions that it is cut into.
  fileprivate var declared: [WarmstartTensorModel.Variable] {
    get throws {
      let name = Name(name.bytes)
      let dtype = try #require(DataType(name: dtype ?? "float32"))
      let whole = hasUnknownRank == true ? nil : Shape(shape ?? [2])
      if let parts {
        return try Partitioner.fixedSize(shards: parts)
          .cut(name, dtype, #require(whole))
      }
      let place = partition.map {
        Partition(of: Name($0.of.bytes), fullShape: Shape($0.shape), offset: $0.offset)
      }
      return [
        .init(name, dtype: dtype, shape: whole, partition: place, isInStore: isInStore ?? true)
      ]
    }
  }
}

extension MapCase.Pair {
  fileprivate var target: AssignmentMap.Target {
    get throws {
      if let to { return .name(Name(to.bytes)) }
      if let object { return .variable(Name(object.bytes)) }
      return .variables(try #require(objects).map { Name($0.bytes) })
    }
  }
}
