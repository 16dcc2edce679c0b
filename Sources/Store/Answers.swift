import WarmstartKernel

/// The answer to one job's question about a checkpoint, remembered for jobs that ask the same.
///
/// Jobs that start from one checkpoint mostly send the same map and the same variables, byte for
/// byte. Their answer depends only on these bytes and on the checkpoint's generation.
package final class Answer: Sendable {
  /// A run of memory that the answer names.
  package enum Region: Sendable {
    /// A file of the checkpoint, by its position.
    case file(Int)
    case arena(ArenaHolder)
  }

  /// The longest answer that is remembered, in bytes: an answer for 100,000 partitions along two
  /// axes.
  package static let maximumByteCount = 12 << 20

  /// The longest reply of a short answer: most sockets take it at once.
  private static let shortByteCount = 4 << 10

  /// One of the replies.
  package struct Reply: Sendable {
    /// The regions that this reply is the first to name.
    package let regions: Range<Int>
    /// The reply's fields without its checkpoint and regions, which differ by connection.
    package let fields: [UInt8]

    /// Makes a reply from what was sent.
    package init(regions: Range<Int>, fields: [UInt8]) {
      self.regions = regions
      self.fields = fields
    }
  }

  /// The bytes of a request: its head as it arrived, and a digest of the rest.
  struct Question: Sendable {
    private static let maximumHeadByteCount = 64 << 10

    fileprivate let head: [UInt8]
    private let byteCount: Int
    fileprivate let digest: Int

    fileprivate init(_ question: ArraySlice<UInt8>) {
      head = Array(question.prefix(Question.maximumHeadByteCount))
      byteCount = question.count
      digest = Question.digest(question)
    }

    /// Whether another question has the same length and the same head.
    fileprivate func isLike(_ question: ArraySlice<UInt8>) -> Bool {
      guard byteCount == question.count else { return false }
      return head.rawSpan.equals(question.rawSpan.extracting(first: head.count))
    }

    fileprivate static func digest(_ question: ArraySlice<UInt8>) -> Int {
      let rest = question.dropFirst(maximumHeadByteCount)
      return rest.isEmpty ? 0 : rest.rawSpan.digest
    }
  }

  fileprivate let question: Question
  /// The regions, in the order in which the replies count them.
  package let regions: [Region]
  package let replies: [Reply]
  let byteCount: Int
  /// Whether it is one short reply.
  package let isShort: Bool
  private let charge: Charge

  /// Makes an answer; nil if it is too long, or its user may not have more memory.
  fileprivate init?(
    _ question: ArraySlice<UInt8>, _ regions: [Region], _ replies: [Reply], _ tab: Tab
  ) {
    self.question = Question(question)
    self.regions = regions
    self.replies = replies
    namesFile = regions.contains { region in
      if case .file = region { true } else { false }
    }
    isShort = replies.count == 1 && replies[0].fields.count <= Answer.shortByteCount
    byteCount = replies.reduce(self.question.head.count) { $0 + $1.fields.count }
    guard byteCount <= Answer.maximumByteCount,
      let charge = try? tab.charge(Amounts(memory: byteCount))
    else { return nil }
    self.charge = charge
  }

  /// Whether it names one of the arenas.
  fileprivate func names(_ arenas: Set<UInt64>) -> Bool {
    regions.contains { region in
      guard case .arena(let holder) = region else { return false }
      return arenas.contains(holder.id)
    }
  }

  /// Whether a region is a file of the checkpoint.
  fileprivate let namesFile: Bool
}

/// The answers that a resident remembers: the latest few.
final class Answers: Sendable {
  /// The most answers that are remembered: more than a few kinds of jobs have questions.
  private static let maximumCount = 16
  /// The most bytes of answers together: two kinds of jobs keep their longest answers.
  private static let maximumByteCount = 2 * Answer.maximumByteCount

  private struct State {
    /// The latest last.
    var answers: [Answer] = []
    var byteCount = 0
  }

  private let state = Monitor(State())

  func find(_ question: ArraySlice<UInt8>, withoutFiles: Bool) -> Answer? {
    let answers = state.withLock { $0.answers }
    var digest: Int?
    for position in answers.indices.reversed()
    where answers[position].question.isLike(question)
      && !(withoutFiles && answers[position].namesFile)
    {
      let answer = answers[position]
      let known = digest ?? Answer.Question.digest(question)
      if answer.question.digest == known { return answer }
      digest = known
    }
    return nil
  }

  /// Remembers an answer if its user may have the memory; forgets the oldest ones for it.
  func remember(
    _ question: ArraySlice<UInt8>, _ regions: [Answer.Region], _ replies: [Answer.Reply], _ tab: Tab
  ) {
    guard let answer = Answer(question, regions, replies, tab) else { return }
    let forgotten = state.withLock { state in
      state.answers.append(answer)
      state.byteCount += answer.byteCount
      var forgotten: [Answer] = []
      while state.byteCount > Answers.maximumByteCount
        || state.answers.count > Answers.maximumCount
      {
        forgotten.append(state.answers.removeFirst())
        state.byteCount -= forgotten[forgotten.count - 1].byteCount
      }
      return forgotten
    }
    // The charges of their arenas end here, outside the lock.
    _ = forgotten
  }

  /// Forgets the answers that name one of the arenas.
  func forget(_ arenas: Set<UInt64>) {
    guard !arenas.isEmpty else { return }
    forget { $0.names(arenas) }
  }

  /// Forgets the answers that name a file, after bytes of the checkpoint's files were found
  /// damaged.
  func forgetFiles() {
    forget { $0.namesFile }
  }

  private func forget(_ isMeant: (Answer) -> Bool) {
    let forgotten = state.withLock { state in
      let forgotten = state.answers.filter(isMeant)
      state.answers.removeAll(where: isMeant)
      state.byteCount -= forgotten.reduce(0) { $0 + $1.byteCount }
      return forgotten
    }
    // The charges of their arenas end here, outside the lock.
    _ = forgotten
  }
}
