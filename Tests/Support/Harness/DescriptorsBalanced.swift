internal import Foundation
public import Testing

/// Records an issue if a test leaves more descriptors open than it found.
///
/// A process has one table of descriptors and runs its suites in parallel. So tests with this trait
/// take turns, across suites, and `Tests/run` runs the suites that have it in a process of their
/// own: there no test without the trait opens a descriptor.
public struct DescriptorsBalanced: TestTrait, SuiteTrait, TestScoping {
  /// A suite passes the trait on to its tests, so that the issue names the test.
  public var isRecursive: Bool { true }

  /// Counts before and after the test.
  ///
  /// No other test with the trait runs meanwhile.
  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Turn.shared.take()
    let before = DescriptorsBalanced.openDescriptors()
    do {
      try await function()
    } catch {
      await Turn.shared.give()
      throw error
    }
    let leaked = DescriptorsBalanced.leaked(since: before)
    await Turn.shared.give()
    if let leaked { Issue.record("descriptors are still open: \(leaked)") }
  }

  /// Waits for threads to end; returns nil if no descriptors were added.
  private static func leaked(since before: [String: String]) -> [String: String]? {
    var after = openDescriptors()
    for _ in 0..<500 where after.count > before.count {
      Thread.sleep(forTimeInterval: 0.01)
      after = openDescriptors()
    }
    guard after.count > before.count else { return nil }
    return after.filter { before[$0.key] != $0.value }
  }

  /// What each descriptor of this process refers to, without the one that lists them.
  private static func openDescriptors() -> [String: String] {
    let folder = "/proc/self/fd/"
    var open: [String: String] = [:]
    for number in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      open[number] = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + number)
    }
    return open
  }
}

extension Trait where Self == DescriptorsBalanced {
  /// Every descriptor that the test opens must be closed when it ends.
  public static var descriptorsBalanced: Self { DescriptorsBalanced() }
}

/// A turn that tests get in the order in which they ask for it.
private actor Turn {
  static let shared = Turn()

  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func take() async {
    guard isTaken else {
      isTaken = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func give() {
    guard !waiting.isEmpty else {
      isTaken = false
      return
    }
    waiting.removeFirst().resume()
  }
}
