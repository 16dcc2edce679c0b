import Foundation
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

@testable import WarmstartCheckpoint

/// Which HDF5 files are read, and as what; the golden ones were written by Keras and h5py.
@Suite struct HDF5Tests {
  private static func golden(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: Golden.repository.appending(path: "Tests/Data/Keras/\(name)")))
  }

  // MARK: Files that are read

  @Test func `weights of Keras are listed under their paths`() throws {
    let opened = try Opened(file: Self.golden("model.weights.h5"))
    let catalog = opened.checkpoint.catalog
    #expect(opened.checkpoint.format == .hdf5)
    #expect(catalog.count == 13)
    #expect(try opened.described("layers/dense/vars/0") == "float32 [4, 3]")
    #expect(try opened.described("layers/sequential/layers/dense/vars/1") == "float32 [2]")
    #expect(try opened.described("layers/lstm/cell/vars/1") == "float32 [2, 8]")
    #expect(try opened.described("layers/dense_1/vars/0") == "bfloat16 [2, 2]")
  }

  @Test func `an archive of Keras has the same tensors as the weights in it`() throws {
    let opened = try Opened(file: Self.golden("model.keras"))
    #expect(opened.checkpoint.catalog.count == 4)
    #expect(try opened.described("layers/dense/vars/0") == "float32 [4, 3]")
    #expect(try opened.bytes("layers/dense_1/vars/1") == [0, 0, 0, 0])
  }

  @Test func `an end of file beyond all numbers is refused, also in an archive`() throws {
    var weights = try Self.golden("model.weights.h5")
    // The end-of-file address of a superblock of version 0.
    weights.replaceSubrange(40..<48, with: [UInt8](repeating: 0xff, count: 7) + [0x7f])
    for bytes in [weights, ZipWriter([.init("model.weights.h5", weights)]).bytes()] {
      let problem = try #require(throws: Problem.self) { try Opened(file: bytes) }
      #expect(problem.reason == .truncated, "\(problem.message)")
    }
  }

  @Test(arguments: ["types.h5", "latest.h5"])
  func `numbers of all types and both byte orders are read`(file: String) throws {
    let opened = try Opened(file: Self.golden(file))
    let catalog = opened.checkpoint.catalog
    #expect(catalog.count == 32)
    for scope in ["little", "big"] {
      let names = [
        "f/float16", "f/float32", "f/float64", "i/int8", "i/int16", "i/int32", "i/int64",
        "u/uint8", "u/uint16", "u/uint32", "u/uint64", "c/complex64", "c/complex128",
      ]
      for name in names {
        #expect(try opened.described("\(scope)/\(name)") == "\(name.dropFirst(2)) [3]")
      }
    }
    #expect(try opened.described("bool") == "bool [1, 3]")
    #expect(try opened.bytes("bool") == [1, 0, 1])
    #expect(try opened.described("empty") == "float32 [0, 3]")
    #expect(try opened.bytes("empty") == [])
    #expect(try opened.described("scalar") == "float32 []")
    #expect(try opened.bytes("scalar") == [0, 0, 0xc0, 0x3f])
    #expect(try opened.bytes("bfloat16") == [0x80, 0x3f, 0, 0xc0, 0x60, 0x40])
  }

  @Test func `a dataset of two names is a tensor under both`() throws {
    let opened = try Opened(file: Self.golden("types.h5"))
    let numbers: [UInt8] = [0, 1, 2].flatMap { [$0] + [UInt8](repeating: 0, count: 7) }
    #expect(try opened.bytes("other/name") == numbers)
    #expect(try opened.bytes("another name") == numbers)
  }

  @Test func `texts and null datasets are no tensors`() throws {
    let catalog = try Opened(file: Self.golden("types.h5")).checkpoint.catalog
    #expect(catalog.position(of: Name("other/text")) == nil)
    #expect(catalog.position(of: Name("other/nothing")) == nil)
  }

  @Test func `a group with a B-tree of two levels has all its names`() throws {
    let opened = try Opened(file: Self.golden("many.h5"))
    #expect(opened.checkpoint.catalog.count == 150)
    for number in 0..<150 { #expect(try opened.bytes("v\(number)") == [7]) }
  }

  // MARK: Files that are refused

  @Test(arguments: [
    ("chunked.h5", "is chunked, expected a contiguous layout"),
    ("gzip.h5", "is chunked and filtered (compressed)"),
    ("unwritten.h5", "was never written"),
    ("opaque.h5", "has elements of 2 opaque bytes"),
    ("compound.h5", "has a compound type as the type of its elements"),
    ("long-double.h5", "has a float of 80 bits in 16 bytes as the type of its elements"),
    ("soft-link.h5", "is a soft link"),
    ("external-link.h5", "is an external link"),
    ("external.h5", "has its elements in other files"),
    ("virtual.h5", "is virtual"),
    ("committed.h5", "has a datatype that it shares"),
    ("heap.h5", "has a group whose names are in a fractal heap"),
  ])
  func `what cannot be shared is named`(file: String, words: String) throws {
    let problem = try Self.problem(with: Self.golden("refused/\(file)"))
    #expect(problem.reason == .unsupported)
    #expect(problem.message.contains(words), "\(problem.message)")
    if file != "heap.h5" { #expect(problem.tensor == Name("a/x")) }
  }

  @Test func `a file that was cut off is truncated`() throws {
    let bytes = try Self.golden("types.h5")
    for count in stride(from: 96, to: bytes.count, by: 613) {
      let problem = try Self.problem(with: Array(bytes[..<count]))
      #expect(problem.reason == .truncated, "\(count): \(problem.message)")
    }
  }

  @Test func `bytes after the end are ignored`() throws {
    let opened = try Opened(file: Self.golden("types.h5") + [1, 2, 3])
    #expect(opened.checkpoint.catalog.count == 32)
  }

  // MARK: Hostile files

  /// Where the root group's B-tree is in files that h5py writes with symbol tables.
  private static let tree = 136

  @Test func `a B-tree that has itself as a child is refused`() throws {
    var bytes = try Self.golden("many.h5")
    bytes.store(UInt64(Self.tree), at: Self.tree + 32)
    // Its level is not the one expected; with a lower level, it is found again.
    try Self.expectCorrupt(bytes, "has a B-tree node that others refer to twice")
  }

  @Test func `two children of a B-tree at one place are refused`() throws {
    var bytes = try Self.golden("many.h5")
    for byte in 0..<8 { bytes[Self.tree + 48 + byte] = bytes[Self.tree + 32 + byte] }
    try Self.expectCorrupt(bytes, "has a B-tree node that others refer to twice")
  }

  @Test func `a node of the wrong level is refused`() throws {
    var bytes = try Self.golden("many.h5")
    bytes[Self.tree + 5] = 7
    try Self.expectCorrupt(bytes, "of kind 0 and level 0, expected a group's, of level 6")
  }

  @Test func `more children than the file has bytes are refused`() throws {
    var bytes = try Self.golden("many.h5")
    (bytes[Self.tree + 6], bytes[Self.tree + 7]) = (0xff, 0xff)
    try Self.expectCorrupt(bytes, "has a B-tree node of 1048568 bytes at address 160")
  }

  @Test func `names that are not in ascending order are refused`() throws {
    var bytes = try Self.golden("many.h5")
    let name = try #require(bytes.firstOffset(of: Array("v100\0".utf8)))
    bytes[name] = UInt8(ascii: "a")
    try Self.expectCorrupt(bytes, "expected names in ascending order")
  }

  @Test func `a name with a slash is refused`() throws {
    var bytes = try Self.golden("many.h5")
    let name = try #require(bytes.firstOffset(of: Array("v100\0".utf8)))
    bytes[name + 1] = UInt8(ascii: "/")
    try Self.expectCorrupt(bytes, "has the name v/00 in a group")
  }

  @Test func `a name outside its heap is refused`() throws {
    var bytes = try Self.golden("many.h5")
    let node = try #require(bytes.firstOffset(of: Array("SNOD".utf8)))
    bytes.store(1 << 40, at: node + 8)
    try Self.expectCorrupt(bytes, "has a local heap with")
  }

  @Test func `a header at an address outside the file is refused`() throws {
    var bytes = try Self.golden("many.h5")
    let node = try #require(bytes.firstOffset(of: Array("SNOD".utf8)))
    bytes.store(UInt64(Int.max), at: node + 16)
    try Self.expectCorrupt(bytes, "has an object header of 6 bytes at address 9223372036854775807")
  }

  @Test func `elements outside the file are refused`() throws {
    var bytes = try Self.golden("types.h5")
    let opened = try Opened(file: bytes)
    let tensor = try opened.tensor("scalar")
    let offset = opened.checkpoint.stored[opened.checkpoint.storedRange(tensor).lowerBound].offset
    let address = (0..<8).map { UInt8(truncatingIfNeeded: offset >> (8 * $0)) }
    let place = try #require(bytes.firstOffset(of: address))
    bytes.store(UInt64(bytes.count - 3), at: place)
    let problem = try Self.problem(with: bytes)
    #expect(problem.tensor == Name("scalar"))
    #expect(problem.reason == .corrupt)
    #expect(problem.message.contains("has 4 bytes at address \(bytes.count - 3)"))
  }

  @Test func `a shape of 2^63 bytes or more is refused`() throws {
    var bytes = try Self.golden("types.h5")
    let axes: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    let place = try #require(bytes.firstOffset(of: axes))
    bytes.store(1 << 62, at: place)
    let problem = try Self.problem(with: bytes)
    #expect(problem.tensor == Name("bool"))
    #expect(problem.message.contains("has 2^63 bytes or more"))
  }

  @Test(arguments: [(0x08, "dataLayout"), (0x01, "dataspace")])
  func `a dataset that has lost a message is refused, not left out`(kind: UInt8, name: String)
    throws
  {
    var bytes = try Self.golden("types.h5")
    // The shape of `bool`, from whose dataspace its header can be found.
    let axes: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    let dataspace = try #require(bytes.firstOffset(of: axes)) - 16
    #expect(bytes[dataspace] == 0x01)
    let place = try #require(
      stride(from: dataspace, to: dataspace + 400, by: 8).first { bytes[$0] == kind })
    // The second byte of the message's type: no such type exists.
    bytes[place + 1] = 0x70
    let problem = try Self.problem(with: bytes)
    #expect(problem.tensor == Name("bool"))
    #expect(problem.message.contains("has no \(name) message"), "\(problem.message)")
  }

  @Test func `a bool whose names are damaged is refused, not taken for a number`() throws {
    var bytes = try Self.golden("types.h5")
    let place = try #require(bytes.firstOffset(of: Array("FALSE\0".utf8)))
    bytes.replaceSubrange(place..<place + 5, with: [0, 0, 0, 0, 0])
    let problem = try Self.problem(with: bytes)
    #expect(problem.tensor == Name("bool"))
    #expect(problem.message.contains("an enumeration with an empty name"), "\(problem.message)")
  }

  @Test func `a checksum that is wrong is refused`() throws {
    var bytes = try Self.golden("latest.h5")
    let header = try #require(bytes.firstOffset(of: Array("OHDR".utf8)))
    bytes[header + 30] ^= 1
    try Self.expectCorrupt(bytes, "has an object header with the checksum")
  }

  @Test(arguments: ["types.h5", "latest.h5", "many.h5", "model.weights.h5"])
  func `a changed byte is an error, or leaves tensors that lie in the file`(file: String) throws {
    let bytes = try Self.golden(file)
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/file"
    for place in stride(from: 0, to: bytes.count, by: 61) {
      for value in [0, 1, 0x7f, 0xff] as [UInt8] where bytes[place] != value {
        var changed = bytes
        changed[place] = value
        try BundleFile.write([(0, changed)], byteCount: changed.count, to: path)
        let file = try File(opening: FilePath(path))
        let member = FileSet.Member(role: .whole, file: file, status: try file.status())
        var (tensors, memory) = (FoundTensors(), ReaderMemory { _ in })
        guard
          (try? HDF5.read(
            IndexFile(member) {}, 0..<bytes.count, to: &tensors, &memory, checkIn: {})) != nil
        else { continue }
        let found = try tensors.checkpoint(.hdf5, fileCount: 1) { _ in "file" }
        for run in found.stored {
          #expect(run.offset >= 0 && run.byteCount >= 0)
          #expect(run.offset + run.byteCount <= bytes.count)
        }
      }
    }
  }

  private static func problem(with bytes: [UInt8]) throws -> Problem {
    try #require(throws: Problem.self) { try Opened(file: bytes) }
  }

  private static func expectCorrupt(
    _ bytes: [UInt8], _ words: String, at location: SourceLocation = #_sourceLocation
  ) throws {
    let problem = try problem(with: bytes)
    #expect(problem.reason == .corrupt, sourceLocation: location)
    #expect(problem.message.contains(words), "\(problem.message)", sourceLocation: location)
  }
}

extension Opened {
  /// Writes and opens a file that is a checkpoint on its own.
  fileprivate init(file bytes: [UInt8]) throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/file"
    try BundleFile.write([(0, bytes)], byteCount: bytes.count, to: path)
    let bundle = BundleWriter.Bundle(prefix: path, index: path, shards: [path], entries: [:])
    try self.init(tables: bundle, in: directory)
  }

  /// The dtype and shape of a tensor.
  fileprivate func described(_ name: String) throws -> String {
    let tensor = try tensor(name)
    return "\(checkpoint.catalog.dtype(tensor).name) \(checkpoint.catalog.shape(tensor))"
  }
}

extension [UInt8] {
  /// Where bytes occur first.
  func firstOffset(of sought: [UInt8]) -> Int? {
    (0...count - sought.count).first { self[$0..<$0 + sought.count].elementsEqual(sought) }
  }

  /// Writes a number as eight bytes, low byte first.
  fileprivate mutating func store(_ value: UInt64, at offset: Int) {
    for byte in 0..<8 { self[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }
}
