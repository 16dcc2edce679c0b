import WarmstartHarness
import WarmstartMessages
import WarmstartTensorModel

extension VariableList {
  /// The variables one by one.
  var all: [Variable] { (0..<count).map { self[$0] } }
}

/// Pseudo-random values of all kinds, the same for the same seed.
struct Anything: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  /// SplitMix64.
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  // MARK: Simple values

  mutating func flag() -> Bool { Bool.random(using: &self) }

  /// Small numbers as often as large ones.
  mutating func number() -> UInt64 { next() >> UInt64.random(in: 0...62, using: &self) | 1 }

  mutating func count(below bound: Int = 1 << 31) -> Int { Int(number() % UInt64(bound)) }

  mutating func text() -> String {
    String(
      (0..<count(below: 40)).map { _ in ["a", "/", "é", "0", "\n", "🙂"][count(below: 6)] }.joined())
  }

  /// Any bytes, NUL and invalid UTF-8 included.
  mutating func name() -> Name {
    Name(((0...count(below: 30)).map { _ in UInt8(truncatingIfNeeded: next()) })[...])
  }

  mutating func dtype() -> DataType { DataType.allCases[count(below: DataType.allCases.count)] }

  mutating func integer() -> Int { flag() ? count() : -count() }

  mutating func shape() -> Shape { Shape(list { $0.integer() }) }

  /// The shape of a tensor that exists.
  mutating func extents() -> Shape { Shape(list { $0.count() }) }

  /// Numbers for the axes of a shape.
  mutating func numbers(for shape: Shape) -> [Int] { shape.lengths.map { _ in count() } }

  mutating func slice(of shape: Shape) -> TensorSlice {
    TensorSlice(starts: numbers(for: shape), counts: numbers(for: shape))
  }

  mutating func list<Element>(_ element: (inout Anything) -> Element) -> [Element] {
    (0..<count(below: 6)).map { _ in element(&self) }
  }

  mutating func maybe<Value>(_ value: (inout Anything) -> Value) -> Value? {
    flag() ? value(&self) : nil
  }

  // MARK: Parts of messages

  mutating func reference() -> CheckpointReference {
    var reference: CheckpointReference =
      switch count(below: 3) {
      case 0: .handle(number())
      case 1: .name(text() + "x")
      default: .files((0...count(below: 5)).map { _ in file() }, label: text())
      }
    reference.expectedSHA256 = maybe { any in any.list { UInt8($0.count(below: 256)) } + [7] }
    return reference
  }

  mutating func publication() -> Publication? {
    let name = try? PublishedName("n\(count())")
    let (users, groups) = (list { $0.id() }, list { $0.id() })
    return name.map { Publication($0, users: users, groups: groups) }
  }

  private mutating func id() -> UInt32 { UInt32(truncatingIfNeeded: number()) }

  private mutating func file() -> CheckpointFile {
    let roles: [FileRole] = [.index, .whole, .shard(count(), of: count())]
    return CheckpointFile(
      roles[count(below: 3)], flag() ? .descriptor(count()) : .attached(number()))
  }

  mutating func openReply() -> OpenReply {
    OpenReply(
      handle: number(), generation: text(), format: text(), tensorCount: count(),
      byteCount: count())
  }

  mutating func pair() -> AssignmentMap.Pair {
    let targets: [AssignmentMap.Target] = [
      .name(name()), .variable(name()), .variables(list { $0.name() }),
    ]
    return AssignmentMap.Pair(name(), targets[count(below: 3)])
  }

  mutating func variable() -> Variable {
    let partition = maybe { any in
      let fullShape = any.shape()
      return Partition(
        of: any.name(), fullShape: fullShape, offset: fullShape.lengths.map { _ in any.integer() })
    }
    return Variable(
      name(), dtype: dtype(), shape: maybe { $0.shape() }, partition: partition, isInStore: flag())
  }

  mutating func gather() -> Gather {
    var axis = -1
    let axes = (0...count(below: 4)).map { _ in
      axis += 1 + count(below: 3)
      return Gather.Axis(axis, list { any in any.flag() ? Gather.missing : any.integer() })
    }
    return Gather(axes)
  }

  mutating func listed() -> ListReply.Tensor {
    let shape = extents()
    return ListReply.Tensor(
      name: name(), dtype: dtype(), shape: shape, byteCount: count(),
      slices: list { $0.slice(of: shape) })
  }

  mutating func graph() -> ObjectGraph {
    var graph = ObjectGraph()
    graph.count = count()
    for object in list({ UInt32($0.count()) }) {
      graph.children.objects.append(object)
      graph.children.children.append(UInt32(count()))
      graph.children.names.append(name())
    }
    for object in list({ UInt32($0.count()) }) {
      graph.attributes.objects.append(object)
      graph.attributes.names.append(name())
      graph.attributes.fullNames.append(name())
      graph.attributes.keys.append(name())
    }
    for object in list({ UInt32($0.count()) }) {
      graph.slotVariables.objects.append(object)
      graph.slotVariables.variables.append(UInt32(count()))
      graph.slotVariables.slots.append(UInt32(count()))
      graph.slotVariables.names.append(name())
    }
    return graph
  }

  mutating func handle() -> Handle {
    let shape = extents()
    return Handle(
      variable: count(), tensor: name(), dtype: dtype(), shape: shape,
      strides: flag() ? numbers(for: shape) : [], region: count(), offset: count(),
      byteCount: count(), starts: maybe { $0.numbers(for: shape) })
  }

  mutating func problem() -> Problem {
    Problem(
      Reason.known[count(below: Reason.known.count)], text(), key: maybe { $0.name() },
      variable: maybe { $0.name() }, tensor: maybe { $0.name() })
  }

  mutating func report() -> StatusReport {
    var report = StatusReport()
    report.daemonVersion = text()
    report.processID = count()
    report.uptimeMilliseconds = count()
    report.clientCount = count()
    report.leaseCount = count()
    report.warmByteCount = count()
    report.arenaByteCount = count()
    report.hugeArenaByteCount = count()
    report.budgetByteCount = count()
    report.chargedByteCount = count()
    report.keptArenaByteCount = count()
    report.ownChargedByteCount = count()
    report.ownKeptArenaByteCount = count()
    report.clientLimit = count()
    report.users = list { any in
      StatusReport.User(
        userID: Int(UInt32.random(in: 0...9)), chargedByteCount: any.count(),
        keptArenaByteCount: any.count(), clientCount: any.count())
    }
    report.checkpoints = list { any in
      var checkpoint = StatusReport.Checkpoint(
        generation: any.text(), format: any.maybe { $0.flag() ? .v1 : .v2 }, label: any.text())
      checkpoint.tensorCount = any.count()
      checkpoint.byteCount = any.count()
      checkpoint.verifiedByteCount = any.count()
      checkpoint.cachedByteCount = any.count()
      checkpoint.arenaCount = any.count()
      checkpoint.arenaByteCount = any.count()
      checkpoint.hugeArenaByteCount = any.count()
      checkpoint.leaseCount = any.count()
      checkpoint.isPinned = any.flag()
      checkpoint.idleMilliseconds = any.count()
      checkpoint.sha256 = any.list { UInt8($0.count(below: 256)) }
      (checkpoint.endOfPin, checkpoint.lockedByteCount) = (any.text(), any.count())
      return checkpoint
    }
    report.names = list { any in
      any.publication().map {
        StatusReport.Named($0, generation: any.text(), label: any.text(), fault: any.text())
      }
    }.compactMap { $0 }
    report.clients = list { any in
      StatusReport.Client(
        processID: any.count(), userID: any.count(), label: any.text(), command: any.text(),
        leaseCount: any.count(), callCount: any.count(), leases: any.list { $0.text() })
    }
    report.counters = list { StatusReport.Counter($0.text(), $0.count()) }
    return report
  }
}
