import FoundationEssentials
import Locate
import SystemPackage
import Testing

/// What a refusal says of the checkpoints that are there.
@Suite struct HintTests {
  /// The quoted path in the hint, which must lead to a checkpoint when it is pasted.
  private func hinted(_ error: LocateError) throws -> String {
    let quoted = error.description.split(separator: "'", omittingEmptySubsequences: false)
    let path = String(try #require(quoted.count >= 3 ? quoted[quoted.count - 2] : nil))
    _ = try CheckpointFiles.locate(path)
    return path
  }

  /// A directory's path from the working directory.
  private func relative(_ path: String) -> String {
    let depth = FilePath(FileManager.default.currentDirectoryPath).components.count
    return String(repeating: "../", count: depth) + path.dropFirst()
  }

  // MARK: State files

  @Test(arguments: [
    "/home/me/run7/m-3", "run7/m-3", "../old/m-3", #"C:\\Users\\me\\run7\\m-3"#,
    "C:/Users/me/run7/m-3", "gs://bucket/run7/m-3", "file:///old/m-3",
  ])
  func `a copied directory's checkpoint is named in it, however the directory is spelled`(
    target: String
  ) throws {
    let scratch = try Scratch()
    try scratch.write("d/m-3.index", "d/m-4.index")
    try scratch.writeState("model_checkpoint_path: '\(target)'", in: "d")
    let directory = scratch("d")
    for spelling in [directory, directory + "/", directory + "/.", relative(directory)] {
      let error = try refusal(of: spelling)
      guard case .stateTargetMissing = error else { throw error }
      #expect(error.description.contains("was the directory moved?"))
      let slash = spelling.hasSuffix("/") ? "" : "/"
      #expect(try hinted(error) == "\(spelling)\(slash)m-3")
    }
  }

  @Test(arguments: [("m-3", "m-3"), ("m-?????-of-00002", "m-00000-of-00002")])
  func `a copied V1 checkpoint is named as its state file names it`(
    name: String, file: String
  ) throws {
    let scratch = try Scratch()
    try scratch.write(file)
    try scratch.writeState("model_checkpoint_path: '/old/\(name)'")
    #expect(try hinted(refusal(of: scratch.path)) == scratch(name))
  }

  @Test func `a state file whose checkpoint is gone hints at the latest that is there`() throws {
    let scratch = try Scratch()
    try scratch.write("m-7.index", "m-30.index", "m-4.index")
    try scratch.writeState("model_checkpoint_path: 'm-31'")
    let error = try refusal(of: scratch.path)
    #expect(try hinted(error) == scratch("m-30"))
    #expect(!error.description.contains("moved"))
  }

  @Test(arguments: [
    "model_checkpoint_path: 'C:\\Users\\me\\m-2'", "", "# nothing", "{}",
    "version https://git-lfs.github.com/spec/v1\n",
  ])
  func `a state file that says nothing hints at the latest checkpoint`(text: String) throws {
    let scratch = try Scratch()
    try scratch.write("m-2.index", "m-1.index")
    try scratch.writeState(text)
    let error = try refusal(of: scratch.path)
    #expect(error.kind == .checkpointStateInvalid)
    #expect(try hinted(error) == scratch("m-2"))
    #expect(error.description.contains("`git lfs pull`") == text.hasPrefix("version"))
  }

  @Test func `the state file itself hints at the checkpoint that it names`() throws {
    let scratch = try Scratch()
    try scratch.write("m-7.index", "m-8.index")
    try scratch.writeState("model_checkpoint_path: 'm-7'")
    let error = try refusal(of: scratch("checkpoint"))
    #expect(error.kind == .checkpointNotFound)
    #expect(try hinted(error) == scratch("m-7"))
    #expect(try hinted(refusal(of: relative(scratch("checkpoint")))) == relative(scratch("m-7")))
    try scratch.writeState("model_checkpoint_path: '/old/m-8'")
    #expect(try hinted(refusal(of: scratch("checkpoint"))) == scratch("m-8"))
  }

  @Test func `a V1 checkpoint may be called as state files are`() throws {
    let scratch = try Scratch()
    try scratch.write("checkpoint", bytes: [0, 0, 5])
    #expect(try CheckpointFiles.locate(scratch("checkpoint")).format == .v1)
  }

  // MARK: Directories

  @Test func `a SavedModel's directory hints at its variables`() throws {
    let scratch = try Scratch()
    try scratch.write("saved_model.pb", "variables/variables.index")
    for name in ["", "/", "/variables", "/variables/", "/saved_model.pb"] {
      #expect(try hinted(refusal(of: scratch.path + name)) == scratch("variables/variables"))
    }
  }

  @Test func `a directory in the state file's place hints at what is in it`() throws {
    let scratch = try Scratch()
    try scratch.write("checkpoint/ckpt-0.index")
    let error = try refusal(of: scratch.path)
    guard case .stateNotRegular = error else { throw error }
    #expect(try hinted(error) == scratch("checkpoint/ckpt-0"))
  }

  @Test func `a directory of V1 shards hints at their pattern`() throws {
    let scratch = try Scratch()
    try scratch.write("m-5-00000-of-00002", "m-5-00001-of-00002", "m-12-00000-of-00001")
    #expect(try hinted(refusal(of: scratch.path)) == scratch("m-12-?????-of-00001"))
  }

  @Test(arguments: ["_CHECKPOINT_METADATA", "100/_CHECKPOINT_METADATA"])
  func `a directory of Orbax is said to be one`(marker: String) throws {
    let scratch = try Scratch()
    try scratch.write(marker)
    let error = try refusal(of: scratch.path)
    #expect(error == .orbax(directory: scratch.path))
    #expect(error.kind == .checkpointNotFound)
    #expect(error.isAboutDirectory)
    #expect(error.description.contains("Orbax"))
    // Whose directory it is matters only where TensorFlow has nothing in it.
    try scratch.write("m.index")
    #expect(try hinted(refusal(of: scratch.path)) == scratch("m"))
  }

  // MARK: Names

  @Test func `a graph saved with V1 shards hints at their pattern`() throws {
    let scratch = try Scratch()
    try scratch.write("m-5.meta", "m-5-00000-of-00002", "m-5-00001-of-00002")
    #expect(try hinted(refusal(of: scratch("m-5.meta"))) == scratch("m-5-?????-of-00002"))
  }

  @Test(arguments: ["m.meta", "m.data-00000-of-00001"])
  func `a part of a checkpoint without an index says that it is missing`(name: String) throws {
    let scratch = try Scratch()
    try scratch.write(name)
    let error = try refusal(of: scratch(name))
    #expect(
      error.description.hasSuffix("name the prefix '\(scratch("m"))', whose index is not there"))
  }

  @Test(arguments: [
    // What is missing: the step.
    ("model.ckpt", "model.ckpt-1000"), ("model", "model.ckpt-1000"),
    // A file of the checkpoint, or what is left of one's name.
    ("model.ckpt-200.data", "model.ckpt-200"), ("model.ckpt-200.data-00000", "model.ckpt-200"),
    ("model.ckpt-200.data-00000-of-00001", "model.ckpt-200"),
    ("model.ckpt-200.meta", "model.ckpt-200"), ("model.ckpt-200.ckpt", "model.ckpt-200"),
    ("model.ckpt.index", "model.ckpt-1000"),
    // Typing errors.
    ("modle.ckpt-200", "model.ckpt-200"), ("model.ckpt-31", "model.ckpt-30"),
    ("model-ckpt-1000", "model.ckpt-1000"),
    // A directory's spelling.
    ("model.ckpt-200/", "model.ckpt-200"), ("model.ckpt-200//", "model.ckpt-200"),
  ])
  func `a name that is nearly right hints at the nearest`(name: String, meant: String) throws {
    let scratch = try Scratch()
    try scratch.write("model.ckpt-200.index", "model.ckpt-1000.index", "model.ckpt-30.index")
    #expect(try hinted(refusal(of: scratch(name))) == scratch(meant))
    let relative = relative(scratch.path)
    #expect(try hinted(refusal(of: "\(relative)/\(name)")) == "\(relative)/\(meant)")
  }

  @Test func `a name unlike all others hints at the only checkpoint, but not at one of many`()
    throws
  {
    let scratch = try Scratch()
    try scratch.write("bert_model.ckpt.index", "notes.txt")
    #expect(try hinted(refusal(of: scratch("model.ckpt"))) == scratch("bert_model.ckpt"))
    try scratch.write("other.index")
    #expect(try refusal(of: scratch("zzzz")) == .notFound(path: scratch("zzzz"), hint: nil))
  }

  @Test func `shards of a V2 checkpoint are never taken for those of a V1 checkpoint`() throws {
    let scratch = try Scratch()
    try scratch.write("m-1.data-00000-of-00001")
    let error = try refusal(of: scratch("m-1.data"))
    #expect(!error.description.contains("?????"))
  }
}
