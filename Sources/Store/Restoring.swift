import SystemPackage
import WarmstartCheckpoint
package import WarmstartKernel
import WarmstartTensorModel

// What an earlier process left is hostile until it is checked: another version of the daemon may
// have left it, its files may have changed since, and the limits may be lower now. A descriptor
// that fails a check is discarded and costs nothing but itself. Without its record or its files, a
// resident's arenas are discarded too, because nothing says what they are. A published name
// outlasts its files: without them it says why it cannot be used.

extension Store {
  /// What became of the descriptors that an earlier process left.
  package struct Restored: Sendable {
    package var checkpointCount = 0
    package var arenaCount = 0
    package var arenaByteCount = 0
    /// What was discarded, each with the reason: the first ones.
    package var complaints: [String] = []
    package var discardedCount = 0

    private static let maximumComplaintCount = 10

    /// What was restored, for the log.
    package var summary: String {
      "restored from the descriptor store: checkpoints \(checkpointCount), arenas \(arenaCount) of "
        + "\(bytesText(arenaByteCount)), descriptors discarded \(discardedCount)"
    }

    mutating func discard(_ name: String, _ problem: Problem) {
      discardedCount += 1
      guard complaints.count < Restored.maximumComplaintCount else { return }
      complaints.append("discarded the stored descriptor \(name.printable): \(problem.message)")
    }
  }

  /// What the residents that were restored, or not, mean for their names.
  private struct Outcomes {
    /// The files of each checkpoint all of whose files were left.
    var complete: [Generation: FileSet] = [:]
    /// Why each of the others was not restored.
    var faults: [Generation: String] = [:]
  }

  /// The descriptors of one resident.
  private struct Group {
    var record: (name: String, file: File)?
    var files: [(name: StoredName, file: File)] = []
    var arenas: [(name: StoredName, file: File)] = []
  }

  /// Makes residents from the descriptors that an earlier process left.
  ///
  /// It reads files, which may hang, so the caller gives it a thread of its own.
  package func restore(_ descriptors: [(name: String, file: File)]) -> Restored {
    legacy.beginTakingOver()
    var restored = Restored()
    var groups: [String: Group] = [:]
    var stored: (name: String, file: File)?
    for (text, file) in descriptors {
      guard let name = StoredName(text) else {
        restored.discard(text, Problem(state: "its name is unknown"))
        continue
      }
      switch name.kind {
      case .record:
        // Two are left by a process that ended between writing the new one and removing the old
        // one.
        groups[name.key, default: Group()].record = newer(
          groups[name.key]?.record, (text, file))
      case .names: stored = newer(stored, (text, file))
      case .file: groups[name.key, default: Group()].files.append((name, file))
      case .arena: groups[name.key, default: Group()].arenas.append((name, file))
      }
    }
    var known: [(key: String, group: Group, record: ResidentRecord)] = []
    for (key, group) in groups {
      do throws(Problem) {
        guard let record = group.record else {
          throw Problem(state: "the record of its resident is missing")
        }
        let words = try StateRecord.words(of: record.file, as: .record)
        known.append((key, group, try ResidentRecord(reading: words)))
      } catch {
        restored.discard(group.record?.name ?? "of resident \(key)", error)
      }
    }
    // Pinned ones first, while there is room.
    known.sort { !$0.record.pinnedBy.isEmpty && $1.record.pinnedBy.isEmpty }
    var outcomes = Outcomes()
    for (key, group, record) in known {
      do {
        let files = try restore(key, group, record, &restored)
        if files.members.count == record.generation.fileCount {
          outcomes.complete[record.generation] = files
        }
      } catch {
        outcomes.faults[record.generation] = error.message
        restored.discard("\(group.record?.name ?? key)", error)
      }
    }
    if let stored {
      do throws(Problem) {
        let words = try StateRecord.words(of: stored.file, as: .names)
        for item in try NamesRecord(reading: words).items { publish(item, outcomes) }
        legacy.takeOver(record: stored.name)
      } catch {
        restored.discard(stored.name, error)
      }
    }
    legacy.endTakingOver(of: descriptors.map(\.name))
    return restored
  }

  private func newer(
    _ one: (name: String, file: File)?, _ other: (name: String, file: File)
  ) -> (name: String, file: File) {
    guard let one else { return other }
    // Later names are longer, or greater.
    return (one.name.utf8.count, one.name) > (other.name.utf8.count, other.name) ? one : other
  }

  private func restore(
    _ key: String, _ group: Group, _ record: ResidentRecord, _ restored: inout Restored
  ) throws(Problem) -> FileSet {
    // Others may lie there, from a process that ended before it wrote the record or removed them.
    var held: [(name: StoredName, file: File)] = []
    for position in record.filePositions {
      guard let file = group.files.first(where: { $0.name.last == "\(position)" }) else {
        throw Problem(state: "file \(position) of its checkpoint is missing")
      }
      held.append(file)
    }
    let files = try FileSet(
      restoring: held.map(\.file), at: record.filePositions, of: record.generation,
      openedBy: record.openedBy)
    let flight = Flight()
    guard residency.claim(record.generation, for: record.payer, flight) == nil else {
      throw Problem(state: "its checkpoint is resident already")
    }
    defer { flight.end() }
    do {
      let resident = try read(files, record, key)
      let names = restore(group.arenas, record, to: resident, &restored)
      legacy.takeOver(
        held.map(\.name.text) + names, record: group.record?.name ?? "", of: key)
      residency.keep(resident, pinnedBy: record.pinnedBy)
      if record.isLocked, let payer = record.pinnedBy.first {
        lockAgain(resident, files, payer: payer)
      }
      restored.checkpointCount += 1
      figures.count { $0.restoredCheckpoints += 1 }
      return files
    } catch {
      residency.abandon(record.generation)
      throw error
    }
  }

  /// Publishes a checkpoint again, or notes why its name cannot be used.
  private func publish(_ item: NamesRecord.Item, _ outcomes: Outcomes) {
    var entry = Names.Entry(
      publication: item.publication, generation: item.generation, label: item.label,
      publisher: item.publisher, files: nil, fault: item.fault)
    if item.fault.isEmpty {
      do throws(Problem) {
        guard let files = outcomes.complete[item.generation] else {
          let reason = outcomes.faults[item.generation] ?? item.obstacle
          throw Problem(state: reason.isEmpty ? "its files were not kept" : reason)
        }
        let count = files.members.count
        let tab = Tab(Account(item.publisher, in: accounts))
        let held = HeldFiles(
          files.members.map(\.file), at: Array(0..<count), of: item.publisher,
          try charge(Amounts(descriptors: count), to: tab), reaper)
        entry.files = PublishedFiles(name: item.publication.name, set: files, held: held)
      } catch {
        entry.fault = "the daemon was restarted since it was published, and \(error.message)"
        noteLost("\(item.publication.name) (\(item.label)) cannot be used any more: \(entry.fault)")
      }
    }
    names.restore(entry)
  }

  /// Reads the index again, and makes a resident that is charged to the user who paid before.
  private func read(
    _ files: FileSet, _ record: ResidentRecord, _ key: String
  ) throws(Problem) -> Resident {
    let tab = Tab(Account(record.payer, in: accounts))
    let reading = Reservation()
    let checkpoint = try Checkpoint.read(files) { byteCount throws(Problem) in
      reading.charge = nil
      reading.charge = try self.charge(Amounts(memory: byteCount), to: tab)
    }
    reading.charge = nil
    guard checkpoint.stored.count == record.isVerified.count else {
      throw Problem(
        state: "its record has \(record.isVerified.count) stored runs, and the index "
          + "\(checkpoint.stored.count)")
    }
    let amounts = Amounts(memory: checkpoint.memoryByteCount + Store.residentByteCount)
    let charge = try self.charge(amounts, to: tab)
    let positions = files.heldPositions
    let held = HeldFiles(
      positions.map { files.members[$0].file }, at: positions.map { record.filePositions[$0] },
      of: record.openedBy, try self.charge(Amounts(descriptors: positions.count), to: tab), reaper)
    let cached = CachedFiles(
      files, try self.charge(Amounts(descriptors: files.members.count - positions.count), to: tab),
      reaper)
    return Resident(
      checkpoint, files, held: held, cached: cached, label: record.label, key: key, tab, charge,
      figures)
  }

  /// Charges a user without making room: what was left earlier evicts nothing.
  private func charge(_ amounts: Amounts, to tab: Tab) throws(Problem) -> Charge {
    do { return try tab.charge(amounts) } catch { throw tab.refusal(amounts, error) }
  }

  /// Adds arenas to a resident; returns the names of those that were added.
  private func restore(
    _ arenas: [(name: StoredName, file: File)], _ record: ResidentRecord, to resident: Resident,
    _ restored: inout Restored
  ) -> [String] {
    var kept: [(holder: ArenaHolder, entries: [ArenaDescription.Entry])] = []
    for (name, file) in arenas {
      do {
        kept.append(try restore(name.text, name.payer, file, record, resident))
      } catch {
        restored.discard(name.text, error)
      }
    }
    // A piece may be in two arenas, because small ones are put together: the larger one counts.
    kept.sort { $0.holder.arena.byteCount > $1.holder.arena.byteCount }
    resident.pieces.restore(isVerified: record.isVerified, kept)
    let holdings = resident.holdings
    restored.arenaCount += holdings.arenaCount
    restored.arenaByteCount += holdings.arenaByteCount
    figures.count { $0.restoredArenas += holdings.arenaCount }
    return resident.pieces.arenas.map(\.name)
  }

  private func restore(
    _ name: String, _ maker: UInt32?, _ file: File, _ record: ResidentRecord, _ resident: Resident
  ) throws(Problem) -> (holder: ArenaHolder, entries: [ArenaDescription.Entry]) {
    let whole: SealedArena
    do { whole = try SealedArena(restoring: file) } catch {
      throw Problem(state: "it is not a sealed memfd of this user: \(error)")
    }
    let (description, arena) = try ArenaDescription.read(
      whole, of: record.generation, resident.checkpoint)
    // An arena that is younger than the record is its maker's.
    let use = record.arenas.first { $0.name == name }
    let tab = Tab(Account(use?.payer ?? maker ?? record.payer, in: accounts))
    let charge = try self.charge(
      Amounts(memory: description.chargedByteCount(beside: arena.byteCount), descriptors: 1),
      to: tab)
    let holder = ArenaHolder(
      id: figures.nextArenaID(), arena, named: name, tab, charge, kept,
      grantedTo: use?.users ?? [])
    return (holder, description.entries)
  }

  // MARK: Stopping

  /// Leaves to the daemon's next process what is warm now; what is dropped later stays left.
  package func leave() { legacy.freeze() }
}
