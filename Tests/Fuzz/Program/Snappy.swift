import WarmstartKernel
import WarmstartTable

/// Expands any bytes as a compressed block of a table.
func fuzzSnappy(_ bytes: [UInt8]) {
  let typed = bytes + [1]
  let checksum = Checksum.masked(of: typed.rawSpan)
  let block = typed + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> ($0 * 8)) }
  guard let contents = try? DataBlock.contents(of: block, at: 0) else { return }
  // The length comes first, low bits first, seven in a byte.
  var claimed = 0
  for (place, byte) in bytes.prefix(5).enumerated() {
    claimed |= Int(byte & 0x7f) << (7 * place)
    if byte < 0x80 { break }
  }
  check(contents.count == claimed, "as many bytes as are announced")
  let limit = DataBlock.contentsLimit(byteCount: block.count, isCompressed: true)
  check(contents.count <= limit, "no more than is charged")
  let again = try? DataBlock.contents(of: block, at: 0)
  check(again == contents, "the same bytes again")
}
