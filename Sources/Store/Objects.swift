package import Checkpoint
import Kernel
package import TensorModel

/// The object graph of a checkpoint, as its resident remembers it.
package final class Objects: Sendable {
  /// Which objects there are, and which tensors are theirs.
  package let graph: ObjectGraph
  /// The tensors by what their variables were called.
  package let names: FullNames
  private let charge: Charge

  init(_ graph: ObjectGraph, _ names: FullNames, _ charge: consuming Charge) {
    self.graph = graph
    self.names = names
    self.charge = charge
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
}
