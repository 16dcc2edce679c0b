import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// The documentation's example, exactly as it stands there.
@Suite struct ExampleTests {
  @Test func `the documented example runs`() throws {
    let daemon = try RunningDaemon()
    let socketPath = daemon.socketPath
    let path = Golden.path("demo")
    var printed = 0
    func print(_ name: Name, _ shape: Shape, _ first: Float) { printed += 1 }
    func print(_ failure: String) { Issue.record("\(failure)") }

    do {
      let client = Client(socket: socketPath, label: "fine-tune")
      let variables = try Partitioner.fixedSize(shards: 4)
        .partitions(of: "student/embeddings/word_embeddings", dtype: .float32, shape: [8192, 256])
      let resolved = try client.resolve(
        path, assigning: ["bert/embeddings/": "student/embeddings/"], to: variables)
      for tensor in resolved.tensors {
        let weights = try tensor.elements(as: Float.self)
        print(tensor.variable.name, tensor.shape, weights[0])
      }
    } catch let error where error.reason == .tensorNotFound {
      print(error.message)
    } catch {
      print("\(error.reason): \(error.message)")
    }

    #expect(printed == 4)
  }

  @Test func `the documentation has the example that is tested`() throws {
    let sources = Golden.repository
    let page = try String(
      contentsOf: sources.appending(
        path: "Sources/Client/WarmstartClient.docc/WarmstartClient.md"), encoding: .utf8)
    let test = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
    let shown = try #require(
      page.split(separator: "```swift\n").last?.split(separator: "```").first)
    for line in shown.split(separator: "\n") {
      #expect(test.contains(line.trimmingCharacters(in: .whitespaces)), "\(line)")
    }
  }

  @Test func `a closure, or a do with other errors, catches by type and reason`() async throws {
    let daemon = try RunningDaemon()
    let client = Client(socket: daemon.socketPath)
    let found = await Task { () -> String? in
      do {
        try Task.checkCancellation()
        _ = try client.open("/nowhere")
      } catch let error as WarmstartError where error.reason == .checkpointNotFound {
        return error.message
      } catch {
        Issue.record("\(error)")
      }
      return nil
    }.value
    #expect(found?.contains("/nowhere") == true)
  }

  @Test func `an error says its reason, also one that only a newer daemon knows`() throws {
    let daemon = try RunningDaemon()
    let client = Client(socket: daemon.socketPath, label: "fine-tune")
    let variables = [Variable("student/kernel", dtype: .float32, shape: [2])]
    var found: Reason?
    do {
      _ = try client.resolve(
        Golden.path("demo"), assigning: ["bert/kernal": "student/kernel"], to: variables)
    } catch let error where error.reason == .tensorNotFound {
      found = error.problems.first?.reason
    } catch {
      Issue.record("\(error)")
    }
    #expect(found == .tensorNotFound)
    #expect(Reason(rawValue: "LATE_TRAIN").description == "LATE_TRAIN")
    #expect(Reason(rawValue: "LATE_TRAIN").code == .unknown)
  }
}
