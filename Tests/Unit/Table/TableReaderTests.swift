import Testing
import WarmstartTable
import WarmstartTestSupport

@Suite struct TableReaderTests {
  @Test func `every table that TensorFlow wrote is read`() throws {
    let paths = try Golden.tables()
    #expect(paths.count > 30)
    for path in paths {
      let entries = try entries(of: try Golden.bytes(of: path))
      #expect(entries.first?.key == [], "\(path)")
      #expect(entries.count > 1, "\(path)")
    }
  }

  @Test func `an index of several blocks is read to its end`() throws {
    let entries = try entries(of: try Golden.bytes(of: "v2_many/many.index"))
    #expect(entries.count == 10_001)
    #expect(Set(entries.map(\.key)).count == 10_001)
  }

  @Test func `keys and values are what TensorFlow wrote`() throws {
    let entries = try entries(of: try Golden.bytes(of: "v2_partitioned/model.ckpt-7.index"))
    #expect(entries.first == Entry([], [0x08, 0x01, 0x1a, 0x02, 0x08, 0x01]))
    #expect(
      entries.first { $0.key == Array("emb/int64".utf8) }?.value
        .starts(with: [0x08, 0x09, 0x12, 0x05, 0x12, 0x03, 0x08, 0xe8, 0x07, 0x3a]) == true)
  }

  @Test func `a table of no entries ends at once`() throws {
    var file = FileBuilder()
    #expect(try entries(of: file.finish(index: [])) == [])
  }

  @Test func `empty blocks are skipped`() throws {
    var file = FileBuilder()
    var index: [Entry] = []
    for name in ["a", "b", "c"] {
      let empty = file.append(block: BlockBuilder().finish())
      index.append(Entry(Array("\(name)1".utf8), empty.bytes))
      var block = BlockBuilder()
      block.append(Entry("\(name)2"))
      index.append(Entry(Array("\(name)2".utf8), file.append(block: block.finish()).bytes))
    }
    #expect(try entries(of: file.finish(index: index)) == [Entry("a2"), Entry("b2"), Entry("c2")])
  }

  @Test func `bytes behind a handle in the index are tolerated`() throws {
    var file = FileBuilder()
    var block = BlockBuilder()
    block.append(Entry("a", "1"))
    let handle = file.append(block: block.finish())
    let table = file.finish(index: [Entry(Array("a".utf8), handle.bytes + [1, 2, 3])])
    #expect(try entries(of: table) == [Entry("a", "1")])
  }

  @Test func `one entry may be larger than any usual block`() throws {
    let large = Entry(Array("large".utf8), Array(repeating: 7, count: 600_000))
    let model = [Entry("", "header"), large, Entry("small", "1")]
    for isCompressed in [false, true] {
      let table = TableBuilder(isCompressed: isCompressed).table(of: model)
      #expect(try entries(of: table) == model)
    }
  }

  @Test func `a key may have 65536 bytes`() throws {
    let model = [Entry(Array(repeating: 1, count: 65_536), [])]
    #expect(try entries(of: TableBuilder().table(of: model)) == model)
  }

  @Test func `a walk stays at its end`() throws {
    let file = TableBuilder().table(of: [Entry("a", "1")])
    var table = try TableReader(bytes(file))
    #expect(try table.next())
    #expect(array(table.key) == [0x61])
    #expect(try table.next() == false)
    #expect(try table.next() == false)
  }

  @Test func `a walk that failed fails again`() throws {
    var block = BlockBuilder()
    for name in ["b", "c", "a"] { block.append(Entry(name)) }
    let file = FileBuilder.file(ofBlock: block.finish())
    var table = try TableReader(bytes(file))
    #expect(try table.next())
    #expect(try table.next())
    #expect(array(table.key) == [0x63])
    for _ in 0..<3 {
      do throws(TableError) {
        _ = try table.next()
        Issue.record("the walk went on")
      } catch {
        #expect(error == .keysOutOfOrder(block: 0, entry: 8))
      }
    }
  }

  @Test func `a value lies in the file unless it was compressed`() throws {
    for isCompressed in [false, true] {
      let file = TableBuilder(isCompressed: isCompressed).table(of: [Entry("a", "value")])
      var table = try TableReader(bytes(file))
      #expect(try table.next())
      #expect((bytes(file).byteOffsets(of: table.value) == nil) == isCompressed)
    }
  }

  @Test func `before the first entry and after a refused block there is no value`() throws {
    var file = FileBuilder()
    var block = BlockBuilder()
    block.append(Entry("a", "a long value"))
    let handles = [file.append(block: block.finish()), file.append(block: [0])]
    let table = file.finish(index: [
      Entry([0x61], handles[0].bytes), Entry([0x62], handles[1].bytes),
    ])
    var reader = try TableReader(bytes(table))
    #expect(array(reader.value) == [])
    #expect(try reader.next())
    #expect(array(reader.value) == Array("a long value".utf8))
    do throws(TableError) {
      _ = try reader.next()
      Issue.record("the walk went on")
    } catch {
      #expect(error == .badRestarts(block: handles[1].offset))
    }
    #expect(array(reader.value) == [])
  }

  @Test(arguments: 0..<60 as Range<UInt64>)
  func `built tables are read back`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var model: [[UInt8]: [UInt8]] = [:]
    for _ in 0..<Int.random(in: 0...400, using: &random) {
      let key = random.bytes(.random(in: 0...12, using: &random), through: 3)
      model[key] = random.bytes(.random(in: 0...40, using: &random), through: 1)
    }
    let sorted = model.map { Entry($0.key, $0.value) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    let builder = TableBuilder(
      restartInterval: .random(in: 1...20, using: &random),
      blockByteCount: .random(in: 1...4000, using: &random), isCompressed: seed % 2 == 1)
    #expect(try entries(of: builder.table(of: sorted)) == sorted, "seed \(seed)")
  }
}
