package import WarmstartProtobuf
package import WarmstartTensorModel

// The request of `Resolve` as a client writes it: from the trainer's own variables, column by
// column, without a list of them between.

extension FieldWriter {
  /// Begins a frame whose body is the request.
  ///
  /// The offset of each partition must have as many axes as the full shape. `gathers` says which
  /// rows or columns of their tensors the variables at some positions are made of, and `transposes`
  /// in which order they have the tensors' axes.
  package mutating func begin(
    _ checkpoint: CheckpointReference, _ map: AssignmentMap, _ variables: [Variable],
    _ options: ResolveRequest.Options, gathers: [Int: Gather] = [:],
    transposes: [Int: [Int]] = [:]
  ) {
    let all = variables.span
    let totals = Totals(all)
    begin(reserving: totals.wireByteCount(all.count))
    if !transposes.isEmpty {
      prepend(field: 19) { frame in frame.prepend(transposes: transposes) }
    }
    prepend(field: 18, options.has(.cast) ? 1 : 0)
    if let separator = options.separator { prepend(field: 17, [separator].span) }
    prepend(field: 16, options.progress ? 1 : 0)
    prepend(field: 15, options.planOnly ? 1 : 0)
    if !gathers.isEmpty { prepend(field: 14) { frame in frame.prepend(gathers) } }
    prepend(field: 13, options.namesUnusedTensors ? 1 : 0)
    prepend(field: 12, options.has(.requireAll) ? 1 : 0)
    prepend(field: 11, options.has(.skipMismatched) ? 1 : 0)
    prepend(field: 10, options.has(.lenient) ? 1 : 0)
    prepend(field: 9, options.readAgain ? 1 : 0)
    prepend(field: 8, options.objectNames ? 1 : 0)
    prepend(field: 7, options.strides ? 1 : 0)
    prepend(field: 6, options.has(.skipMissing) ? 1 : 0)
    prepend(field: 5, options.sealed ? 1 : 0)
    prepend(field: 4, UInt64(options.alignment))
    prepend(field: 3) { frame in frame.prepend(all, totals) }
    prepend(field: 2) { frame in frame.prepend(map) }
    prepend(field: 1) { frame in frame.prepend(checkpoint) }
  }

  // MARK: Map

  private mutating func prepend(_ map: AssignmentMap) {
    let pairs = map.pairs
    prepend(field: 4) { frame in frame.prepend(namesOf: pairs) }
    prepend(field: 3, count: pairs.count) { UInt32(pairs[$0].target.nameCount) }
    prepend(field: 2, count: pairs.count) { pairs[$0].target.kind }
    prepend(field: 1, names: pairs.count) { position, body in
      let key = pairs[position].key
      body(key.bytes.span)
    }
  }

  /// Puts the names of all targets in front, as the fields of one message `Names`.
  private mutating func prepend(namesOf pairs: [AssignmentMap.Pair]) {
    var (nameCount, byteCount) = (0, 0)
    for pair in pairs {
      pair.target.forEachName { name in
        nameCount += 1
        byteCount += name.count
      }
    }
    guard nameCount > 0 else { return }
    unsafe prepend(field: 2, byteCount: 4 * nameCount) { place in
      var place = unsafe place
      for pair in pairs {
        pair.target.forEachName { name in
          unsafe place.storeBytes(of: UInt32(clamping: name.count), as: UInt32.self)
          unsafe place += 4
        }
      }
    }
    unsafe prepend(field: 1, byteCount: byteCount) { place in
      var place = unsafe place
      for pair in pairs { pair.target.forEachName { name in unsafe place.append(name) } }
    }
  }

  // MARK: Variables

  private mutating func prepend(_ all: Span<Variable>, _ totals: Totals) {
    if totals.partitions.count > 0 {
      prepend(field: 6) { frame in frame.prepend(partitionsOf: all, totals.partitions) }
    }
    if totals.outsideCount > 0 {
      unsafe prepend(field: 5, byteCount: 4 * totals.outsideCount) { place in
        var place = unsafe place
        for index in all.indices where !all[index].isInStore {
          unsafe place.storeBytes(of: UInt32(index), as: UInt32.self)
          unsafe place += 4
        }
      }
    }
    unsafe prepend(field: 4, byteCount: 8 * totals.axisCount) { place in
      var place = unsafe place
      for index in all.indices {
        guard let axes = all[index].shape?.lengths.indices else { continue }
        for axis in axes {
          unsafe place.storeBytes(of: all[index].shape?.lengths[axis] ?? 0, as: Int.self)
          unsafe place += 8
        }
      }
    }
    prepend(field: 3, count: all.count) { Int32(all[$0].shape?.lengths.count ?? -1) }
    prepend(field: 2, count: all.count) { all[$0].dtype.rawValue }
    prepend(field: 1) { frame in
      frame.prepend(field: 2, count: all.count) { UInt32(clamping: all[$0].name.bytes.count) }
      unsafe frame.prepend(field: 1, byteCount: totals.nameByteCount) { place in
        var place = unsafe place
        for index in all.indices { unsafe place.append(all[index].name.bytes.span) }
      }
    }
  }

  private mutating func prepend(partitionsOf all: Span<Variable>, _ totals: PartitionTotals) {
    unsafe prepend(field: 5, byteCount: 8 * totals.offsetCount) { place in
      var place = unsafe place
      for index in all.indices {
        guard let axes = all[index].partition?.offset.indices else { continue }
        for axis in axes {
          unsafe place.storeBytes(of: all[index].partition?.offset[axis] ?? 0, as: Int.self)
          unsafe place += 8
        }
      }
    }
    unsafe prepend(field: 4, byteCount: 8 * totals.axisCount) { place in
      var place = unsafe place
      for index in all.indices {
        guard let axes = all[index].partition?.fullShape.lengths.indices else { continue }
        for axis in axes {
          unsafe place.storeBytes(
            of: all[index].partition?.fullShape.lengths[axis] ?? 0, as: Int.self)
          unsafe place += 8
        }
      }
    }
    unsafe prepend(field: 3, byteCount: 4 * totals.count) { place in
      var place = unsafe place
      for index in all.indices {
        guard let rank = all[index].partition?.fullShape.lengths.count else { continue }
        unsafe place.storeBytes(of: Int32(rank), as: Int32.self)
        unsafe place += 4
      }
    }
    prepend(field: 2) { frame in
      unsafe frame.prepend(field: 2, byteCount: 4 * totals.count) { place in
        var place = unsafe place
        for index in all.indices {
          guard let count = all[index].partition?.fullName.bytes.count else { continue }
          unsafe place.storeBytes(of: UInt32(clamping: count), as: UInt32.self)
          unsafe place += 4
        }
      }
      unsafe frame.prepend(field: 1, byteCount: totals.nameByteCount) { place in
        var place = unsafe place
        for index in all.indices {
          guard let name = all[index].partition?.fullName.bytes else { continue }
          unsafe place.append(name.span)
        }
      }
    }
    unsafe prepend(field: 1, byteCount: 4 * totals.count) { place in
      var place = unsafe place
      for index in all.indices where all[index].partition?.offset.count != nil {
        unsafe place.storeBytes(of: UInt32(index), as: UInt32.self)
        unsafe place += 4
      }
    }
  }
}

/// What the partitions among variables have altogether.
private struct PartitionTotals {
  var count = 0
  var offsetCount = 0
  var axisCount = 0
  var nameByteCount = 0

  init() {}

  init(_ all: Span<Variable>) {
    // Property by property, as in `Totals`.
    for index in all.indices {
      guard let rank = all[index].partition?.offset.count else { continue }
      count += 1
      offsetCount += rank
      axisCount += all[index].partition?.fullShape.lengths.count ?? 0
      nameByteCount += all[index].partition?.fullName.bytes.count ?? 0
    }
  }

  /// The bytes that the partitions take on the wire, about.
  var wireByteCount: Int { nameByteCount + 12 * count + 8 * (offsetCount + axisCount) }
}

/// What variables have altogether.
private struct Totals {
  var nameByteCount = 0
  var axisCount = 0
  var partitions = PartitionTotals()
  var outsideCount = 0

  init(_ all: Span<Variable>) {
    // Property by property: a copy of a variable would count references to all its buffers.
    var hasPartitions = false
    for index in all.indices {
      nameByteCount += all[index].name.bytes.count
      axisCount += all[index].shape?.lengths.count ?? 0
      if all[index].partition?.offset.count != nil { hasPartitions = true }
      if !all[index].isInStore { outsideCount += 1 }
    }
    if hasPartitions { partitions = PartitionTotals(all) }
  }

  /// The bytes that the variables take on the wire, about.
  func wireByteCount(_ count: Int) -> Int {
    nameByteCount + 12 * count + 8 * axisCount + partitions.wireByteCount + 256
  }
}

extension ResolveRequest.Options {
  /// Whether the map is resolved with an option; a set's own `contains` is not specialized here.
  fileprivate func has(_ option: Resolution.Options) -> Bool {
    resolution.rawValue & option.rawValue != 0
  }
}

extension AssignmentMap.Target {
  /// The number of names.
  fileprivate var nameCount: Int {
    switch self {
    case .name, .variable: 1
    case .variables(let names): names.count
    }
  }

  /// The number of the kind on the wire.
  fileprivate var kind: UInt32 {
    switch self {
    case .name: AssignmentMap.nameKind
    case .variable: AssignmentMap.variableKind
    case .variables: AssignmentMap.variablesKind
    }
  }

  /// Lets the body see each name's bytes.
  @inline(__always)
  fileprivate func forEachName(_ body: (Span<UInt8>) -> Void) {
    switch self {
    case .name(let name), .variable(let name): body(name.bytes.span)
    case .variables(let names): for name in names { body(name.bytes.span) }
    }
  }
}

extension UnsafeMutableRawPointer {
  /// Copies bytes to the place, and moves it behind them.
  @inline(__always)
  fileprivate mutating func append(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      unsafe copyMemory(from: source, byteCount: bytes.count)
      unsafe self += bytes.count
    }
  }
}
