/// Reads any bytes as a table of a V1 checkpoint, then each tensor, twice.
func fuzzSavedSlices(_ bytes: [UInt8]) {
  readWholeFile(withRightChecksums(bytes))
}
