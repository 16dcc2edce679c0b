import Kernel

/// The answer to a question that one job asked of a checkpoint, for the next job that asks the same.
///
/// Jobs that start from one checkpoint mostly send the same map and the same variables, byte for byte.
/// What they get depends on these and on the generation alone.
package final class Answer: Sendable {
  /// A run of memory that the answer names.
  package enum Region: Sendable {
    /// A file of the checkpoint, by its position.
    case file(Int)
    case arena(ArenaHolder)
  }

  /// What was asked, as it came.
  let question: [UInt8]
  /// The regions, in the order in which the reply counts them.
  package let regions: [Region]
  /// The fields of the reply, less its checkpoint and regions, which differ by connection.
  package let reply: [UInt8]
  private let charge: Charge

  fileprivate init(
    _ question: [UInt8], _ regions: [Region], _ reply: [UInt8], _ charge: consuming Charge
  ) {
    self.question = question
    self.regions = regions
    self.reply = reply
    self.charge = charge
  }
}

extension Answer {
  fileprivate func isTo(_ question: ArraySlice<UInt8>) -> Bool {
    let known = self.question
    return known.count == question.count && known.rawSpan.equals(question.rawSpan)
  }
}

/// The answers that a resident remembers: the latest few, in little memory.
final class Answers: Sendable {
  /// More different questions than a few kinds of jobs have.
  private static let maximumCount = 16
  /// All questions and answers together; those of 100,000 variables are not remembered.
  private static let maximumByteCount = 1 << 20

  private struct State {
    /// The latest last.
    var answers: [Answer] = []
    var byteCount = 0
  }

  private let state = Monitor(State())

  func find(_ question: ArraySlice<UInt8>) -> Answer? {
    state.withLock { state in
      for answer in state.answers.reversed() where answer.isTo(question) { return answer }
      return nil
    }
  }

  /// Remembers an answer, in place of the oldest ones, if the budget has room for it.
  func remember(
    _ question: ArraySlice<UInt8>, _ regions: [Answer.Region], _ reply: ArraySlice<UInt8>,
    _ budget: Budget
  ) {
    let byteCount = question.count + reply.count
    guard byteCount <= Answers.maximumByteCount, let charge = budget.charge(byteCount) else {
      return
    }
    let answer = Answer(Array(question), regions, Array(reply), charge)
    state.withLock { state in
      state.answers.append(answer)
      state.byteCount += byteCount
      while state.byteCount > Answers.maximumByteCount
        || state.answers.count > Answers.maximumCount
      {
        let oldest = state.answers.removeFirst()
        state.byteCount -= oldest.question.count + oldest.reply.count
      }
    }
  }
}
