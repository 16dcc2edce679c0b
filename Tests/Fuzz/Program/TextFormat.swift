import WarmstartLocate

/// Parses any bytes as a state file; what it names is named again by a text that is made of it.
func fuzzTextFormat(_ bytes: [UInt8]) {
  let path: String
  do throws(TextFormat.Refusal) {
    path = try TextFormat.modelCheckpointPath(in: bytes)
  } catch {
    check((0...bytes.count).contains(error.offset), "a place in the text")
    return
  }
  var escaped = ""
  for byte in path.utf8 { escaped += "\\\(byte >> 6)\(byte >> 3 & 7)\(byte & 7)" }
  let text = Array("model_checkpoint_path: '\(escaped)' # and so on".utf8)
  do throws(TextFormat.Refusal) {
    let again = try TextFormat.modelCheckpointPath(in: text)
    check(Array(again.utf8) == Array(path.utf8), "the same path again")
  } catch {
    fatalError("the path as written out: expected \(error.expected) at \(error.offset)")
  }
}
