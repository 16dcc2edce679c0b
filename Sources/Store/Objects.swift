package import Checkpoint
import Kernel
package import TensorModel

/// The object graph of a checkpoint, as its resident remembers it.
package final class Objects: Sendable {
  /// Which objects there are, and which tensors are theirs.
  package let graph: ObjectGraph
  // Invariant: `comparing` is there until its flight ends.
  private let state: Monitor<(names: FullNames, comparing: Flight?)>
  private let charge: Charge

  init(_ graph: ObjectGraph, _ names: FullNames, _ charge: consuming Charge) {
    self.graph = graph
    state = Monitor((names, nil))
    self.charge = charge
  }

  /// The tensors by what their variables were called, as far as tensors of one name are compared.
  package var names: FullNames { state.withLock { $0.names } }

  /// Begins a comparison, unless one goes on: then returns its flight.
  fileprivate func beginComparing(_ flight: Flight) -> Flight? {
    state.withLock { state in
      guard state.comparing == nil else { return state.comparing }
      state.comparing = flight
      return nil
    }
  }

  /// Ends a comparison, and keeps what it found.
  fileprivate func endComparing(_ flight: Flight, equal: [Name], different: [Name]) {
    state.withLock { state in
      state.names.settle(equal: equal, different: different)
      state.comparing = nil
    }
    flight.end()
  }

  /// Whether somebody has read the graph, or is reading it.
  enum State {
    case unread
    case reading(Flight)
    case read(Objects)
  }
}

extension Lease {
  /// The object graph: read through these files unless somebody has; waits if somebody is reading it.
  ///
  /// Throws TENSOR_NOT_FOUND for a checkpoint without one.
  package func objects(from files: FileSet, for caller: Caller) throws(Problem) -> Objects {
    let run = try resident.checkpoint.objectGraphRun().run
    while true {
      if case .read(let objects) = resident.objects.withLock({ $0 }) { return objects }
      let found = try store.loadSlots.run(caller, of: account.uid) { () throws(Problem) in
        try claimAndRead(run, from: files, for: caller)
      }
      switch found {
      case .read(let objects): return objects
      case .reading(let other): try caller.wait(for: other)
      case .unread: continue
      }
    }
  }

  private func claimAndRead(
    _ run: Int, from files: FileSet, for caller: Caller
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
      let read = Objects.State.read(try read(run, from: files, for: caller, flight))
      resident.objects.withLock { $0 = read }
      return read
    } catch {
      resident.objects.withLock { $0 = .unread }
      throw error
    }
  }

  private func read(
    _ run: Int, from files: FileSet, for caller: Caller, _ flight: Flight
  ) throws(Problem) -> Objects {
    let (checkpoint, tab) = (resident.checkpoint, tab)
    let reading = try store.charge(
      Amounts(memory: checkpoint.objectGraphReadingByteCount(run)), to: tab,
      for: "reading an object graph", passing: caller)
    var loading = Loading(checkpoint, files) { () throws(Problem) in
      // The work goes on for others even if the one who began it has gone.
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
  /// Compares the tensors of uncompared names through these files; waits if somebody else compares.
  ///
  /// What is found is remembered with the objects, also if the comparison of a later name fails. After
  /// a wait names may be uncompared still.
  package func compare(
    _ names: [Name], of objects: Objects, from files: FileSet, for caller: Caller
  ) throws(Problem) {
    let other = try store.loadSlots.run(caller, of: account.uid) { () throws(Problem) in
      let flight = Flight()
      if let other = objects.beginComparing(flight) { return Flight?.some(other) }
      var (equal, different): ([Name], [Name]) = ([], [])
      defer { objects.endComparing(flight, equal: equal, different: different) }
      let known = objects.names
      for name in names {
        let tensors = known.uncomparedTensors(of: name)
        guard !tensors.isEmpty else { continue }
        let isEqual = try resident.checkpoint.areEqual(tensors, in: files) { () throws(Problem) in
          // The work goes on for others even if the one who began it has gone.
          if !flight.isAwaited { try caller.checkIn() }
        }
        if isEqual { equal.append(name) } else { different.append(name) }
      }
      return nil
    }
    if let other { try caller.wait(for: other) }
  }
}
