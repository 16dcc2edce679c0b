/// Returns a number of bytes for people: `27.4 MiB`.
package func bytesText(_ count: Int) -> String {
  var tenths = (count, 0)
  var unit = "B"
  for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] where tenths.0 >= 1024 {
    tenths = (tenths.0 / 1024, tenths.0 % 1024 * 10 / 1024)
    unit = larger
  }
  return unit == "B" ? "\(count) B" : "\(tenths.0).\(tenths.1) \(unit)"
}
