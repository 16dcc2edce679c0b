import FoundationEssentials
import SystemPackage
import Testing
import WarmstartLocate
import WarmstartTensorModel

@Suite struct StateFileTests {
  @Test(arguments: try Golden.states.get().map(\.path))
  func `a directory leads where TensorFlow says`(directory: String) throws {
    let state = try #require(try Golden.states.get().first { $0.path == directory })
    let scratch = try Scratch()
    // A neighbour is named by one of the state files.
    for name in Set([directory, "state_relative"]) {
      try FileManager.default.copyItem(atPath: Golden.path(name), toPath: scratch(name))
    }
    try instantiateTemplate(in: scratch(directory))
    if let latest = state.latest {
      let files = try CheckpointFiles.locate(scratch(directory))
      let prefix = directory == "state_parent" ? "\(directory)/../\(latest)" : latest
      #expect(files.prefix == scratch(prefix))
      #expect(files.hasIndex)
      #expect(files.totals == [1])
      #expect(try files.openShards(total: 1).map(\.role) == [.shard(0, of: 1)])
      return
    }
    let error = try refusal(of: scratch(directory))
    let isInvalid = state.error?.contains("Invalid checkpoint state") == true
    switch error {
    case .statePathEmpty: #expect(isInvalid)
    case .stateMissing: #expect(directory == "state_none")
    case .stateTargetMissing(_, let path, _):
      #expect(directory == "state_missing_target" && path == scratch("\(directory)/m-99"))
    case .stateMalformed:
      #expect(
        ["state_bad_utf8_escape", "state_garbage", "state_unknown_field"].contains(directory))
    default: throw error
    }
  }

  private func instantiateTemplate(in directory: String) throws {
    let template = FileManager.default.contents(atPath: "\(directory)/checkpoint.template")
    guard let template else { return }
    let parent = directory.split(separator: "/").dropLast().joined(separator: "/")
    let text = String(decoding: template, as: UTF8.self)
      .replacing("@OUT@", with: "/\(parent)")
    try Data(text.utf8).write(to: URL(filePath: "\(directory)/checkpoint"))
  }

  @Test func `a V1 checkpoint may have the name of a state file`() throws {
    let scratch = try Scratch()
    try scratch.write("checkpoint", bytes: [0, 0, 5])
    #expect(try CheckpointFiles.locate(scratch("checkpoint")).hasIndex == false)
  }

  @Test func `a directory of Orbax is refused by name`() throws {
    let scratch = try Scratch()
    try scratch.write("_CHECKPOINT_METADATA")
    #expect(try refusal(of: scratch.path) == .orbax(directory: scratch.path))
  }

  @Test func `a state file has a maximum length`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index")
    let text = "model_checkpoint_path: 'm' #"
    let limit = 4 << 20
    try scratch.writeState(text + String(repeating: "x", count: limit - text.utf8.count))
    #expect(try CheckpointFiles.locate(scratch.path).hasIndex)
    try scratch.writeState(text + String(repeating: "x", count: limit - text.utf8.count + 1))
    #expect(throws: LocateError.stateTooLong(state: scratch("checkpoint"), limit: limit)) {
      try CheckpointFiles.locate(scratch.path)
    }
  }
}
