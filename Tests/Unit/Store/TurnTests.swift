import Testing
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel

/// Calls of one user take turns, and give them up while they wait.
@Suite struct TurnTests {
  private static let (alice, bob): (UInt32, UInt32) = (1000, 1001)
  private let slots = Slots(countPerUser: 1)

  private func caller(_ turn: Turn, within milliseconds: Int = 20) -> Caller {
    Caller(nil, until: .after(milliseconds: milliseconds), turn: turn)
  }

  @Test func `a user's calls wait for each other, not for other users' calls`() throws {
    let (first, second) = (Turn(among: slots, for: Self.alice), Turn(among: slots, for: Self.alice))
    let other = Turn(among: slots, for: Self.bob)
    try first.take(caller(first))
    #expect(problem { try second.take(caller(second)) }?.reason == .deadline)
    try other.take(caller(other))
    first.giveUp()
    try second.take(caller(second))
  }

  @Test func `a call that pauses lets another go on, and then takes its turn again`() throws {
    let (first, second) = (Turn(among: slots, for: Self.alice), Turn(among: slots, for: Self.alice))
    try first.take(caller(first))
    let result = try caller(first, within: 1000).pausing { () throws(Problem) in
      try second.take(caller(second))
      #expect(second.giveUp())
      return 7
    }
    #expect(result == 7)
    #expect(problem { try second.take(caller(second)) }?.reason == .deadline)
    #expect(first.giveUp())
    #expect(!first.giveUp())
  }

  @Test func `an error during a pause gives the turn up`() throws {
    let (first, second) = (Turn(among: slots, for: Self.alice), Turn(among: slots, for: Self.alice))
    try first.take(caller(first))
    let problem = problem {
      try caller(first).pausing { () throws(Problem) in throw Problem(.corrupt, "") }
    }
    #expect(problem?.reason == .corrupt)
    try second.take(caller(second))
  }

  @Test func `a turn ends with its connection`() throws {
    var first: Turn? = Turn(among: slots, for: Self.alice)
    let second = Turn(among: slots, for: Self.alice)
    try #require(first).take(caller(second))
    first = nil
    try second.take(caller(second))
    _ = first
  }
}
