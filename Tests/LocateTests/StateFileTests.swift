import FoundationEssentials
import Locate
import SystemPackage
import Testing

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
      #expect(files.format == .v2)
      #expect(files.totals == [1])
      #expect(try files.openShards(total: 1).map(\.role) == [.shard(0, of: 1)])
      return
    }
    let error = try refusal(of: scratch(directory))
    #expect(error.isAboutDirectory)
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

  @Test func `a moved directory is recognized`() throws {
    let scratch = try Scratch()
    try scratch.write("new/m-3.index")
    try scratch.writeState("model_checkpoint_path: '\(scratch("old/m-3"))'", in: "new")
    let error = try refusal(of: scratch("new"))
    guard case .stateTargetMissing(let state, let path, let hint?) = error else {
      throw error
    }
    #expect(state == scratch("new/checkpoint"))
    #expect(path == scratch("old/m-3"))
    #expect(hint.contains(scratch("new/m-3")))
  }

  @Test func `the path is joined as it stands`() throws {
    let scratch = try Scratch()
    try scratch.write("d/m.index", "e/n.index")
    try scratch.writeState("model_checkpoint_path: '../e/n'", in: "d")
    #expect(try CheckpointFiles.locate(scratch("d")).prefix == scratch("d/../e/n"))
    #expect(try CheckpointFiles.locate(scratch("d/")).prefix == scratch("d/../e/n"))
    try scratch.writeState("model_checkpoint_path: '\(scratch("e/n"))'", in: "d")
    #expect(try CheckpointFiles.locate(scratch("d")).prefix == scratch("e/n"))
    try scratch.writeState("model_checkpoint_path: 'file://\(scratch("e/n"))'", in: "d")
    let error = try refusal(of: scratch("d"))
    guard case .stateTargetMissing = error else { throw error }
  }

  @Test func `a state file may name a pattern of V1 shards`() throws {
    let scratch = try Scratch()
    try scratch.write("m-1-00001-of-00002", "m-1-00000-of-00002", "m-2-00000-of-00002")
    try scratch.writeState("model_checkpoint_path: 'm-1-?????-of-00002'")
    let files = try CheckpointFiles.locate(scratch.path)
    #expect(files.prefix == scratch("m-1-?????-of-00002"))
    #expect(
      files.opened.map(\.path.string) == [
        scratch("m-1-00000-of-00002"), scratch("m-1-00001-of-00002"),
      ])
  }

  @Test func `a state path to a directory is no checkpoint`() throws {
    let scratch = try Scratch()
    try scratch.write("m/x")
    try scratch.writeState("model_checkpoint_path: 'm'")
    let state = scratch("checkpoint")
    let error = try refusal(of: scratch.path)
    #expect(error == .stateTargetNotRegular(state: state, path: scratch("m")))
    #expect(error.description.contains(state))
  }

  @Test func `a directory without a state file suggests its latest checkpoint`() throws {
    let scratch = try Scratch()
    try scratch.write("m-9.index", "m-10.index", "a.index", ".index", "m-11.meta")
    let error = try refusal(of: scratch.path)
    #expect(error == .stateMissing(directory: scratch.path, nearest: scratch("m-10")))
    #expect(error.description.hasSuffix("such as '\(scratch("m-10"))'"))
    let other = try Scratch()
    try other.write("b.index", "c.index")
    #expect(
      try refusal(of: other.path) == .stateMissing(directory: other.path, nearest: other("c")))
    try other.write("d/x")
    #expect(
      try refusal(of: other("d/")) == .stateMissing(directory: other("d/"), nearest: nil))
  }

  @Test func `a state file that names an object store is named, and what is missing`() throws {
    let scratch = try Scratch()
    try scratch.writeState("model_checkpoint_path: 'gs://bucket/m'")
    let error = try refusal(of: scratch.path)
    guard case .stateTargetMissing(_, "gs://bucket/m", let hint?) = error else { throw error }
    #expect(hint == "only local files can be shared")
  }

  @Test func `a FIFO or a directory is no state file, and nobody waits for it`() throws {
    let scratch = try Scratch()
    scratch.makeFIFO("checkpoint")
    let invalid = LocateError.stateNotRegular(state: scratch("checkpoint"))
    #expect(throws: invalid) { try CheckpointFiles.locate(scratch.path) }
    let other = try Scratch()
    try other.write("checkpoint/x")
    #expect(throws: LocateError.stateNotRegular(state: other("checkpoint"))) {
      try CheckpointFiles.locate(other.path)
    }
  }

  @Test func `a state file has a greatest length`() throws {
    let scratch = try Scratch()
    try scratch.write("m.index")
    let text = "model_checkpoint_path: 'm' #"
    let limit = 4 << 20
    try scratch.writeState(text + String(repeating: "x", count: limit - text.utf8.count))
    #expect(try CheckpointFiles.locate(scratch.path).format == .v2)
    try scratch.writeState(text + String(repeating: "x", count: limit - text.utf8.count + 1))
    #expect(throws: LocateError.stateTooLong(state: scratch("checkpoint"), limit: limit)) {
      try CheckpointFiles.locate(scratch.path)
    }
  }
}
