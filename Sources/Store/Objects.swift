package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

/// The object graph of a checkpoint, as its resident remembers it.
package final class Objects: Sendable {
  /// The objects, and their tensors.
  package let graph: ObjectGraph
  /// Names whose tensors a thread compares, and the flight that ends with the comparison.
  private struct Comparison {
    let names: Set<Name>
    let flight: Flight
  }

  // Invariant: a comparison exists until its flight ends, and no name is in two.
  private let state: Monitor<(names: FullNames, comparisons: [Comparison])>
  private let charge: Charge

  init(_ graph: ObjectGraph, _ names: FullNames, _ charge: consuming Charge) {
    self.graph = graph
    state = Monitor((names, []))
    self.charge = charge
  }

  /// The tensors by their variables' full names, with the results of the comparisons so far.
  package var names: FullNames { state.withLock { $0.names } }

  /// Begins a comparison of the names that no other thread compares; returns these names, and the
  /// flights of the other threads.
  fileprivate func beginComparing(
    _ names: [Name], _ flight: Flight
  ) -> (mine: [Name], others: [Flight]) {
    state.withLock { state in
      let others = state.comparisons.filter { !$0.names.isDisjoint(with: names) }
      let mine = names.filter { name in !others.contains { $0.names.contains(name) } }
      if !mine.isEmpty {
        state.comparisons.append(Comparison(names: Set(mine), flight: flight))
      }
      return (mine, others.map(\.flight))
    }
  }

  /// Ends a comparison, and keeps what it found.
  fileprivate func endComparing(_ flight: Flight, equal: [Name], different: [Name]) {
    state.withLock { state in
      state.names.settle(equal: equal, different: different)
      state.comparisons.removeAll { $0.flight === flight }
    }
    flight.end()
  }

  /// Whether the graph was read, or a call is reading it.
  enum State {
    case unread
    case reading(Flight)
    case read(Objects)
  }
}

extension Lease {
  /// The object graph, read through these files unless it was read; waits if another call is
  /// reading it.
  ///
  /// Throws TENSOR_NOT_FOUND for a checkpoint without one.
  package func objects(from files: FileSet, for caller: Caller) throws(Problem) -> Objects {
    try resident.checkpoint.expectObjectGraph()
    while true {
      if case .read(let objects) = resident.objects.withLock({ $0 }) { return objects }
      let found = try store.loadSlots.run(caller, of: self.caller) { () throws(Problem) in
        try claimAndRead(from: files, for: caller)
      }
      switch found {
      case .read(let objects): return objects
      case .reading(let other): try caller.wait(for: other)
      case .unread: continue
      }
    }
  }

  private func claimAndRead(
    from files: FileSet, for caller: Caller
  ) throws(Problem) -> Objects.State {
    let flight = Flight()
    let found = resident.objects.withLock { state in
      let found = state
      if case .unread = state { state = .reading(flight) }
      return found
    }
    guard case .unread = found else { return found }
    defer { flight.end() }
    do {
      let read = Objects.State.read(try read(from: files, for: caller, flight))
      resident.objects.withLock { $0 = read }
      return read
    } catch {
      resident.objects.withLock { $0 = .unread }
      throw error
    }
  }

  private func read(
    from files: FileSet, for caller: Caller, _ flight: Flight
  ) throws(Problem) -> Objects {
    let (checkpoint, tab) = (resident.checkpoint, tab)
    let reading = try store.charge(
      Amounts(memory: try checkpoint.objectGraphReadingByteCount()), to: tab,
      for: "reading an object graph", passing: caller)
    var loading = Loading(checkpoint, files) { () throws(Problem) in
      // While other calls wait for the result, the work goes on even if its caller has gone.
      if !flight.isAwaited { try caller.checkIn() }
    }
    let graph = try loading.readObjectGraph()
    let names = FullNames(graph, in: checkpoint.catalog)
    _ = consume reading
    let charge = try store.charge(
      Amounts(memory: graph.memoryByteCount + names.memoryByteCount), to: tab,
      for: "an object graph")
    return Objects(graph, names, charge)
  }

  /// Names are compared together up to this many bytes; chosen, not tuned.
  private static let comparedByteCount = 64 << 20

  /// Compares the tensors of uncompared names through these files, small ones first; waits for the
  /// names that another thread compares.
  ///
  /// Ends when the caller hangs up or its deadline passes, even if other calls wait: they compare
  /// what is left. Results are remembered with the objects, even if a later comparison fails. After
  /// a wait some names may still be uncompared.
  package func compare(
    _ names: [Name], of objects: Objects, from files: FileSet, for caller: Caller
  ) throws(Problem) {
    let (known, checkpoint) = (objects.names, resident.checkpoint)
    var batch: [Name] = []
    var byteCount = 0
    let sized = names.map { name in
      let tensors = known.uncomparedTensors(of: name)
      let byteCount = tensors.reduce(0) { sum, tensor in
        let (next, overflow) = sum.addingReportingOverflow(checkpoint.byteCount(of: tensor))
        return overflow ? .max : next
      }
      return (name: name, byteCount: byteCount)
    }
    for (name, count) in sized.sorted(by: { $0.byteCount < $1.byteCount }) {
      let (sum, overflow) = byteCount.addingReportingOverflow(count)
      if !batch.isEmpty, overflow || sum > Lease.comparedByteCount {
        try compareTogether(batch, of: objects, from: files, for: caller)
        (batch, byteCount) = ([], 0)
      }
      batch.append(name)
      byteCount += count
    }
    try compareTogether(batch, of: objects, from: files, for: caller)
  }

  private func compareTogether(
    _ names: [Name], of objects: Objects, from files: FileSet, for caller: Caller
  ) throws(Problem) {
    let others = try store.loadSlots.run(caller, of: self.caller) { () throws(Problem) in
      let flight = Flight()
      let (mine, others) = objects.beginComparing(names, flight)
      guard !mine.isEmpty else { return others }
      var (equal, different): ([Name], [Name]) = ([], [])
      defer { objects.endComparing(flight, equal: equal, different: different) }
      let known = objects.names
      for name in mine {
        let tensors = known.uncomparedTensors(of: name)
        guard !tensors.isEmpty else { continue }
        let isEqual = try resident.checkpoint.areEqual(tensors, in: files) { () throws(Problem) in
          try caller.checkIn()
        }
        if isEqual { equal.append(name) } else { different.append(name) }
      }
      return others
    }
    for other in others { try caller.wait(for: other) }
  }
}
