import Testing
import WarmstartTable
import WarmstartTestSupport

/// Real files, damaged: damage is an error, and no entry is ever left out.
@Suite struct TableDamageTests {
  private static let files = ["v2_plain_ref/model.ckpt-1000.index", "v1_partitioned/model"]

  @Test(arguments: files) func `every truncation is refused`(path: String) throws {
    let file = try Golden.bytes(of: path)
    for count in 0..<file.count {
      #expect(failure(of: Array(file[..<count])) != nil, "the first \(count) bytes")
    }
  }

  @Test(arguments: files)
  func `every changed byte is refused or changes nothing`(path: String) throws {
    let file = try Golden.bytes(of: path)
    let whole = try entries(of: file)
    for (mask, offset) in masks.flatMap({ mask in file.indices.map { (mask, $0) } }) {
      var damaged = file
      damaged[offset] ^= mask
      guard let read = try? entries(of: damaged) else { continue }
      #expect(read == whole, "byte \(offset) xor \(mask)")
      #expect(offset >= metaindexOffset(of: file), "byte \(offset) xor \(mask)")
    }
  }

  @Test(arguments: files) func `every missing byte is refused`(path: String) throws {
    let file = try Golden.bytes(of: path)
    let whole = try entries(of: file)
    for offset in file.indices {
      var damaged = file
      damaged.remove(at: offset)
      let read = try? entries(of: damaged)
      #expect(read == nil || read == whole, "without byte \(offset)")
    }
  }

  @Test func `a later block with a changed byte is refused`() throws {
    var file = try Golden.bytes(of: "v2_many/many.index")
    file[600_000] ^= 1
    guard case .checksumMismatch(let block, _, _) = failure(of: file) else {
      Issue.record("the last block was not verified")
      return
    }
    #expect(block > 500_000)
  }

  /// Checksums hide the damage behind them, so contents are damaged and their checksums corrected.
  @Test(arguments: 0..<400 as Range<UInt64>)
  func `a block of any bytes gives entries or an error`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var block = BlockBuilder(restartInterval: 3)
    for number in 0..<12 { block.append(Entry("key\(10 + number)", "value")) }
    var contents = block.finish()
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let offset = Int.random(in: contents.indices, using: &random)
      contents[offset] = UInt8.random(in: .min ... .max, using: &random)
    }
    let isCompressed = seed % 2 == 1
    let stored = isCompressed ? SnappyEncoder.encode(contents) : contents
    let file = FileBuilder.file(ofBlock: stored, type: isCompressed ? 1 : 0)
    let read = (try? entries(of: file)) ?? []
    #expect(read.count <= 12, "seed \(seed)")
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func `any compressed bytes give entries or an error`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var stored = SnappyEncoder.encode(
      BlockBuilder().finish() + random.bytes(200, through: 2))
    for _ in 0..<3 {
      let offset = Int.random(in: stored.indices, using: &random)
      stored[offset] = UInt8.random(in: .min ... .max, using: &random)
    }
    #expect(failure(of: FileBuilder.file(ofBlock: stored, type: 1)) != nil, "seed \(seed)")
  }

  private let masks: [UInt8] = [1, 2, 4, 8, 16, 32, 64, 128, 255]

  /// Where the unread bytes start; all bytes before them are data.
  private func metaindexOffset(of file: [UInt8]) -> Int {
    let footer = Array(file.suffix(48))
    var cursor = Cursor(bytes(footer))
    return (try? cursor.varint64()).map(Int.init) ?? 0
  }
}
