import Testing
import WarmstartTensorModel

/// Which tables of a V1 checkpoint are missing, by the names of the others.
@Suite struct TableNameTests {
  @Test func `exactly the tables that other names announce are missing`() {
    #expect(TableNames(["m-00000-of-00003", "m-00002-of-00003"]).missing == ["m-00001-of-00003"])
    #expect(TableNames(["a-00001-of-00002", "b-00000-of-00001"]).missing == ["a-00000-of-00002"])
    #expect(TableNames(["m-00000-of-00002", "m-00001-of-00002"]).message == nil)
  }

  @Test(
    arguments: [
      "m", "", "m-00000-of-0003", "m-00003-of-00003", "m-000000-of-000003", "m-0000a-of-00003",
      "00000-of-00003", "m-00000-off-00003", "m-00000-of-00003 (deleted)", "m-+0000-of-00003",
      "m-00000-of-9999999999", "-of-", "m--of-00003",
    ] as [Name])
  func `a name of another form announces no table`(_ name: Name) {
    #expect(TableNames([name]).missing.isEmpty)
  }

  @Test func `the first of many missing tables are listed, and all are counted`() {
    let names = TableNames(["m-00001-of-2147483647"])
    #expect(names.missing.count == TableNames.maximumCount)
    #expect(names.missing.first == "m-00000-of-2147483647")
    #expect(names.missing.last == "m-00008-of-2147483647")
    #expect(names.missingCount == 2_147_483_646)
    #expect(names.message?.hasSuffix(" and 2147483638 more are missing") == true)
  }
}
