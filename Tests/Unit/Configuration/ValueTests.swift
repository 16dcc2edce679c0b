import Testing
import WarmstartConfiguration

/// The values that settings take from texts.
@Suite struct ValueTests {
  private func configuration(_ setting: Setting, _ text: String) throws -> Configuration {
    var configuration = Configuration()
    try configuration.set(setting, to: text)
    return configuration
  }

  @Test(arguments: [
    ("1048576", 1 << 20), ("1M", 1 << 20), ("8G", 8 << 30), ("8GiB", 8 << 30), ("8 GiB", 8 << 30),
    ("3T", 3 << 40), ("2048K", 2 << 20), ("7E", 7 << 60), ("7EiB", 7 << 60),
  ])
  func `units of sizes are powers of 1024`(text: String, byteCount: Int) throws {
    #expect(try configuration(.budget, text).budget == .bytes(byteCount))
  }

  @Test func `a percentage is a share of the machine's memory`() throws {
    #expect(try configuration(.budget, "50%").budget == .percent(50))
    #expect(Size.percent(50).byteCount(ofMachineWith: 1000) == 500)
    #expect(Size.percent(100).byteCount(ofMachineWith: .max) > Int.max - 100)
    #expect(Size.bytes(7).byteCount(ofMachineWith: 1000) == 7)
  }

  @Test(arguments: [
    "0", "1K", "1048575", "1023K", "8E", "9223372036854775808", "99999999999999999999999999G",
    "-1G",
    "+1G", "G", "8g", "8GB", "8Gi", "8 G B", "1.5G", "0%", "101%", "-5%", "%", "50 %x", "eight",
    "٨G",
    "8G # half", "8\u{200e}G",
  ])
  func `nonsense is no size`(text: String) {
    #expect(throws: UnexpectedValue.self) { try configuration(.budget, text) }
  }

  @Test(arguments: [
    ("0", 0), ("90", 90), ("90s", 90), ("15min", 900), ("15 min", 900), ("2h", 7200),
    ("1d", 86_400),
  ])
  func `times are seconds, or have a unit`(text: String, seconds: Int) throws {
    #expect(try configuration(.linger, text).lingerSeconds == seconds)
  }

  @Test(arguments: [
    "-1", "1.5", "5m", "1w", "forever", "2147483649", "99999d", "9223372036854775807h",
  ])
  func `nonsense is no time`(text: String) {
    #expect(throws: UnexpectedValue.self) { try configuration(.linger, text) }
  }

  @Test(arguments: ["0", "-1", "1K", "2147483649", "many"])
  func `nonsense is no number of connections`(text: String) {
    #expect(throws: UnexpectedValue.self) { try configuration(.maxConnections, text) }
  }

  @Test(arguments: Setting.allCases)
  func `an empty text sets the default`(setting: Setting) throws {
    let text =
      switch setting.kind {
      case .path: "/run/x"
      case .size: "2G"
      case .seconds: "7"
      case .count: "7"
      }
    var changed = try configuration(setting, text)
    #expect(changed.differences(from: Configuration()) == [setting])
    try changed.set(setting, to: "")
    #expect(changed == Configuration())
  }

  @Test func `later assignments win, and all that is wrong is reported`() throws {
    let configuration = try Configuration([
      Assignment(.linger, "5", at: "a:1: Linger"), Assignment(.linger, "6", at: "--linger"),
    ])
    #expect(configuration.lingerSeconds == 6)
    let error = #expect(throws: ConfigurationError.self) {
      try Configuration([
        Assignment(.linger, "x\u{1b}", at: "a:1: Linger"), Assignment(.linger, "6", at: "--linger"),
        Assignment(.maxConnections, "0", at: "a:2: MaxConnections"),
      ])
    }
    #expect(
      error?.problems == [
        "a:1: Linger: expected a time such as 90, 90s, 15min, 2h or 1d, of at most 2147483648 s, "
          + "found x\\u{1B}",
        "a:2: MaxConnections: expected a whole number from 1 to 2147483648, found 0",
      ])
  }
}
