import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// The places of a V1 checkpoint's slices in their tables.
struct Records: Sendable {
  /// The key of each stored run.
  private let keys: [[UInt8]]
  /// The data block of each stored run, including its trailer; empty for a run that is in no table.
  private let blocks: [TableIndex.Block]
  /// The positions of all runs in the order of tables, blocks and keys.
  private let order: [Int]

  init(_ keys: [[UInt8]], _ blocks: [TableIndex.Block], of stored: [Checkpoint.StoredBytes]) {
    self.keys = keys
    self.blocks = blocks
    order = stored.indices.sorted { first, second in
      let (left, right) = (stored[first], stored[second])
      if (left.shard, left.offset) != (right.shard, right.offset) {
        return (left.shard, left.offset) < (right.shard, right.offset)
      }
      return keys[first].lexicographicallyPrecedes(keys[second])
    }
  }

  func block(of run: Int) -> TableIndex.Block { blocks[run] }

  /// The number of runs in the block of a run.
  func count(inBlockOf run: Int, _ stored: [Checkpoint.StoredBytes]) -> Int {
    let wanted = (stored[run].shard, stored[run].offset)
    func place(_ position: Int) -> (Int32, Int) {
      (stored[order[position]].shard, stored[order[position]].offset)
    }
    let first = order.indices.firstPosition { place($0) >= wanted }
    return order.indices.firstPosition { place($0) > wanted } - first
  }

  /// Finds the values of all runs in a block, in the block's contents.
  func values(
    in contents: [UInt8], ofBlockOf run: Int, _ stored: [Checkpoint.StoredBytes]
  ) throws(TableError) -> [Int: Range<Int>] {
    let wanted = stored[run]
    var place = order.indices.firstPosition {
      (stored[order[$0]].shard, stored[order[$0]].offset) >= (wanted.shard, wanted.offset)
    }
    var values: [Int: Range<Int>] = [:]
    var block = try DataBlock(contents.rawSpan, at: wanted.offset)
    while try block.next() {
      // Both sequences ascend. Two runs have one key if a slice is listed twice.
      while place < order.count, stored[order[place]].shard == wanted.shard,
        stored[order[place]].offset == wanted.offset
      {
        let key = keys[order[place]]
        if key.span.precedes(block.key) {
          place += 1
        } else if block.key.precedes(key.span) {
          break
        } else {
          values[order[place]] = block.value
          place += 1
        }
      }
    }
    return values
  }

  /// The memory that this value takes, in bytes, approximately.
  var memoryByteCount: Int { keys.reduce(0) { $0 + $1.count + 40 } + keys.count * 24 }
}

/// A verified data block of a V1 table, and the values of stored runs in it.
struct RecordBlock {
  /// The identity of a block.
  struct Place: Hashable {
    let table: Int32
    let offset: Int
  }

  let place: Place
  let contents: [UInt8]
  let values: [Int: Range<Int>]
}
