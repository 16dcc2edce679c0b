import Glibc
import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// How long checkpoints stay, and that granted bytes were checked and cannot change.
@Suite struct ResidencyTests {
  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4, 4], floats(16))
    writer.add("bad", dtype: 1, [4, 4], floats(16))
    writer.change("bad") { $0.checksum ^= 1 }
    writer.add("s", strings: [[1, 2], [], [3]], [3])
    return writer
  }

  // MARK: Staying

  @Test func `without lingering a checkpoint goes with its last lease`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 0)
    var first: Lease? = try warm.open(store)
    var second: Lease? = try warm.open(store)
    #expect(first != nil && second != nil)
    first = nil
    #expect(store.residents.map(\.leaseCount) == [1])
    second = nil
    #expect(store.residents.isEmpty)
    #expect(store.accounts.amount(of: .memory) == 0)
    #expect(eventually { (try? warm.directory.openFiles()) == [] })
  }

  @Test func `a checkpoint lingers, is found again, and is finally swept`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 50)
    try letGo(warm, store)
    store.sweep()
    #expect(store.residents.map(\.leaseCount) == [0])
    try letGo(warm, store)
    #expect(store.figures.counters.indexesParsed == 1)
    rest(milliseconds: 60)
    store.sweep()
    #expect(store.residents.isEmpty)
    #expect(store.figures.counters.evictions == 1)
    #expect(eventually { (try? warm.directory.openFiles()) == [] })
  }

  @Test func `a sweep keeps leased checkpoints, however old`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 1)
    let lease = try warm.open(store)
    rest(milliseconds: 10)
    store.sweep()
    #expect(store.evictAll() == 0)
    #expect(store.residents.count == 1)
    _ = lease
  }

  @Test func `a deleted checkpoint goes with its last lease, which reads it until then`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    var lease: Lease? = try warm.open(store)
    let files = try warm.files()
    let resident = try #require(lease?.resident)
    let piece = try resident.piece("a", of: warm)
    for path in [warm.bundle.index] + warm.bundle.shards { try TemporaryDirectory.remove(path) }
    let again = try FileSet(files.members.map { ($0.role, $0.file) }, openedBy: 1000)
    let places = try #require(lease).acquire(
      runs: [], pieces: [piece], from: again, for: .patient)
    #expect(places.count == 1)
    store.sweep()
    #expect(store.residents.count == 1)
    lease = nil
    store.sweep()
    #expect(eventually { store.residents.isEmpty })
    _ = lease
  }

  @Test func `an unleased checkpoint is swept as soon as it is deleted`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    try letGo(warm, store)
    store.sweep()
    #expect(store.residents.count == 1)
    try TemporaryDirectory.remove(warm.bundle.index)
    store.sweep()
    #expect(eventually { store.residents.isEmpty })
  }

  @Test func `a changed checkpoint is a new resident, and leases keep the old one`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let old = try warm.open(store)
    rest(milliseconds: 20)
    try Self.writer.write(to: warm.directory.path)
    let new = try warm.open(store)
    #expect(old.resident !== new.resident)
    #expect(store.residents.count == 2)
  }

  // MARK: Granting

  @Test func `a bad tensor is never granted, but the checkpoint's others are`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let resident = lease.resident
    let (good, bad) = (try resident.piece("a", of: warm), try resident.piece("bad", of: warm))
    let slice = try resident.piece("bad", TensorSlice(starts: [0, 1], counts: [4, 1]), of: warm)
    for wanted in [[bad], [good, bad], [slice], [good, slice, bad]] {
      let problem = problem { _ = try lease.acquire(wanted, warm) }
      #expect(problem?.reason == .checksumMismatch)
      #expect(problem?.tensor == "bad")
    }
    let run = resident.checkpoint.storedRange(bad.tensor).lowerBound
    for _ in 0..<2 {
      let refused = problem {
        _ = try lease.acquire(
          runs: [.init(position: run, tensor: bad.tensor)], pieces: [], from: warm.files(),
          for: .patient)
      }
      #expect(refused?.reason == .checksumMismatch)
    }
    #expect(try read(lease.acquire([good], warm)[0]) == floats(16))
    #expect(store.figures.counters.arenas == 1)
    #expect(resident.holdings.verifiedByteCount == 64)
  }

  @Test func `bytes that filled an arena count as verified`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
    _ = try lease.acquire(
      runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
    #expect(store.figures.counters.verifiedRuns == 0)
    #expect(lease.resident.holdings.verifiedByteCount == 64)
  }

  @Test func `strings are offsets and bytes`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let bytes = try read(
      lease.acquire([lease.resident.piece("s", of: warm)], warm)[0])
    #expect(bytes == [0, 2, 2, 3].flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] } + [1, 2, 3])
  }

  // MARK: Sealing

  @Test func `a sealed arena cannot be written, resized, mapped writable or opened for writing`()
    throws
  {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let place = try lease.acquire([lease.resident.piece("a", of: warm)], warm)[
      0]
    let file = File(try place.arena.arena.open())
    let number = file.descriptor.borrowedNumber()
    let isSealed = SealedArena.isSealed(file.descriptor)
    #expect(isSealed)
    #expect(try file.isReadOnly())
    attack(number)
    // Even its owner and root, who may open it for writing, cannot write.
    for flags in [O_RDWR, O_WRONLY, O_RDWR | O_TRUNC] {
      let other = unsafe open("/proc/self/fd/\(number)", flags)
      guard other >= 0 else { continue }
      attack(other)
      close(other)
    }
    _ = fchmod(number, 0o777)
    attack(number)
    #expect(try read(place) == floats(16))
    #expect(try file.status().size == place.arena.arena.fileByteCount)
  }

  private func attack(_ number: CInt) {
    let byte: [UInt8] = [0xff]
    expectRefused("pwrite", unsafe pwrite(number, byte, 1, 0))
    expectRefused("write", unsafe write(number, byte, 1))
    expectRefused("ftruncate", Int(ftruncate(number, 0)))
    expectRefused("ftruncate", Int(ftruncate(number, 1 << 20)))
    expectRefused("fallocate", -Int(posix_fallocate(number, 1 << 20, 10)))
    // F_ADD_SEALS
    expectRefused("seal", Int(fcntl(number, 1033, 0x10)))
    let writable = unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0)
    expectRefused("mmap", unsafe writable == MAP_FAILED ? -1 : 0)
    guard let readable = unsafe mmap(nil, 4096, PROT_READ, MAP_SHARED, number, 0),
      unsafe readable != MAP_FAILED
    else { return }
    expectRefused("mprotect", Int(unsafe mprotect(readable, 4096, PROT_READ | PROT_WRITE)))
    unsafe munmap(readable, 4096)
  }

  private func expectRefused(_ call: String, _ result: Int) {
    #expect(result < 0, "\(call) worked")
  }

  @Test func `every client gets its own file description, and none stays open`() throws {
    let warm = try Warm(Self.writer)
    let generation: String
    do {
      let store = Store(share: 1 << 20, lingerMilliseconds: 0)
      let lease = try warm.open(store)
      generation = lease.resident.generation.description
      let place = try lease.acquire(
        [lease.resident.piece("a", of: warm)], warm)[0]
      let (first, second) = (File(try place.arena.arena.open()), File(try place.arena.arena.open()))
      let moved = lseek(first.descriptor.borrowedNumber(), 8, SEEK_SET)
      let stayed = lseek(second.descriptor.borrowedNumber(), 0, SEEK_CUR)
      #expect(moved == 8 && stayed == 0)
      #expect(try TemporaryDirectory.open(generation).count == 3)
    }
    #expect(try TemporaryDirectory.open(generation) == [])
    #expect(eventually { (try? warm.directory.openFiles()) == [] })
  }

  // MARK: Helpers

  private func letGo(_ warm: Warm, _ store: Store) throws {
    _ = try warm.open(store).resident
  }

  private func read(_ place: PiecePlace) throws -> [UInt8] {
    let file = File(try place.arena.arena.open())
    let mapping = try Mapping(
      file.descriptor, offset: place.offset, byteCount: place.byteCount)
    return Array(mapping.bytes(0..<place.byteCount))
  }
}
