import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// A line on the terminal that shows how far a command is, at which rate, and the time left.
///
/// Without a terminal on standard error it shows nothing.
final class ProgressBar {
  private static let barLength = 24

  private let start = ContinuousClock.now
  private let isShown: Bool
  /// The bytes that were ready when the first progress came.
  private var first: Int?
  private var width = 0

  /// Makes a bar that shows itself on a terminal, unless it is `hidden`.
  init(hidden: Bool = false) {
    isShown = !hidden && Process.hasTerminal
  }

  /// The seconds since the bar was made.
  var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

  func show(_ progress: Checkpoint.Progress) {
    guard isShown, progress.totalByteCount > 0 else { return }
    let begin = first ?? progress.readyByteCount
    first = begin
    write(ProgressBar.line(progress, read: progress.readyByteCount - begin, in: seconds))
  }

  /// Clears the line before other output.
  func end() {
    guard width > 0 else { return }
    Output.complain("\r" + String(repeating: " ", count: width) + "\r")
    width = 0
  }

  private func write(_ line: String) {
    let filling = String(repeating: " ", count: max(0, width - line.count))
    width = line.count
    Output.complain("\r" + line + filling)
  }

  /// Formats a line: `[#####     ]  48 %  491.2 MiB of 1.0 GiB, 1.2 GiB/s, 1 s left`.
  ///
  /// - Parameters:
  ///   - read: The bytes that were read since the first progress.
  ///   - seconds: The time that reading them took.
  static func line(_ progress: Checkpoint.Progress, read: Int, in seconds: Double) -> String {
    let part = Double(progress.readyByteCount) / Double(progress.totalByteCount)
    let filled = Int(part * Double(barLength))
    var line =
      "[" + String(repeating: "#", count: filled)
      + String(repeating: " ", count: barLength - filled) + "] "
    let percent = String(Int(part * 100))
    line += String(repeating: " ", count: 3 - percent.count) + percent + " %  "
    line += "\(bytesText(progress.readyByteCount)) of \(bytesText(progress.totalByteCount))"
    guard read > 0, seconds > 0 else { return line }
    let rate = Double(read) / seconds
    let left = Double(progress.totalByteCount - progress.readyByteCount) / rate
    return line + ", \(bytesText(Int(rate)))/s, \(ProgressBar.text(seconds: left)) left"
  }

  private static func text(seconds: Double) -> String {
    let whole = Int(min(seconds.rounded(.up), 359_999))
    guard whole >= 60 else { return "\(whole) s" }
    return whole < 3600
      ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole / 60 % 60) min"
  }
}
