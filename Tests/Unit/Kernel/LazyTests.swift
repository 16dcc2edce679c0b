import Testing
import WarmstartKernel

/// A lazy value: made when it is first asked for, and then kept.
@Suite struct LazyTests {
  @Test func `a value is made when it is first asked for, and once`() {
    let value = Lazy<Int>()
    #expect(value.value { 1 } == 1)
    #expect(value.value { 2 } == 1)
  }

  @Test func `of values that are made at once all threads get the same`() {
    let value = Lazy<Int>()
    // The inner call is another thread's that is faster.
    #expect(value.value { value.value { 1 } + 1 } == 1)
  }
}
