import Testing
import WarmstartConfiguration
import WarmstartStore

/// Limits follow from the configuration and the machine, and a reload replaces them.
@Suite struct LimitTests {
  private func limits(_ setting: Setting, _ text: String) throws -> Limits {
    var configuration = Configuration()
    try configuration.set(setting, to: text)
    return Limits(
      configuration, descriptors: 65_536, memory: 8 << 30, physicalByteCount: 16 << 30)
  }

  @Test func `the budget is half of what the daemon may use, or what was chosen`() throws {
    #expect(try limits(.budget, "").memoryByteCount == 4 << 30)
    #expect(try limits(.budget, "3G").memoryByteCount == 3 << 30)
    // Of the machine's memory, as in a unit's MemoryMax=.
    #expect(try limits(.budget, "25%").memoryByteCount == (16 << 30) / 100 * 25)
  }

  @Test func `connections are what was chosen, and fit the descriptors`() throws {
    #expect(try limits(.maxConnections, "70").connections == 70)
    #expect(try limits(.maxConnections, "1000000").connections == 65_536 / 8)
    #expect(try limits(.maxConnectionsPerUser, "7").connectionsPerUser == 7)
    #expect(try limits(.linger, "2min").lingerMilliseconds == 120_000)
  }

  @Test func `a lower budget takes nothing back, and refuses what is new`() throws {
    let store = Store(budget: 1 << 20, lingerMilliseconds: 60_000)
    let account = Account(1, in: store.accounts)
    try account.take(500_000, of: .memory)
    var limits = store.limits.now
    limits.memoryByteCount = 400_000
    limits.lingerMilliseconds = 5
    store.adopt(limits)
    #expect(store.limits.now == limits)
    #expect(store.accounts.amount(of: .memory) == 500_000)
    #expect(throws: (any Error).self) { try account.take(1, of: .memory) }
    account.giveBack(500_000, of: .memory)
    try account.take(300_000, of: .memory)
    limits.memoryByteCount = 1 << 20
    store.adopt(limits)
    try account.take(400_000, of: .memory)
  }
}
