import Testing
import WarmstartTensorModel

/// Hints at what a map probably meant where it names something missing.
@Suite struct HintTests {
  private func message(
    _ map: AssignmentMap, _ variables: [Name], in tensors: [Name]
  ) -> String? {
    problems(map, Model.variables(variables), Model.catalog(tensors), [])?.first.message
  }

  @Test(arguments: [
    ("bert/", "s/", "model/bert/a", "; there is model/bert/a, with model/ in front"),
    ("model/bert/", "s/", "bert/a", "; there is bert/a, without model/ in front"),
    ("BERT/", "s/", "bert/a", "; there is bert/a, which differs only in upper and lower case"),
    ("bert/a:0", "s/a", "bert/a", "; leave out TensorFlow's output suffix: the name is bert/a"),
    (
      "bert", "s/a", "bert/a",
      "; bert is a scope of the checkpoint: write bert/, and a scope as its target"
    ),
    (
      "bert/", "s/a", "bert/a", "; bert/ is a scope of the checkpoint, and its target is a variable"
    ),
    ("bert/", "s", "bert/a", "; s is a scope: write s/"),
    ("bert/", "s.", "bert/a", "; s is a scope: write s/"),
    ("brt/", "s/", "bert/a", "; no tensor is in scope brt/; nearest: bert/"),
    ("none/", "s/", "bert/xa", "; no tensor is in scope none/"),
    ("m/layer/0/attn/kernel", "s/a", "m.layer.0.attn.weight", "; nearest: m.layer.0.attn.weight"),
    ("m.layer.0.attn.kernel", "s/a", "m/layer/0/attn/weight", "; nearest: m/layer/0/attn/weight"),
    ("bert.a", "s/a", "bert/a", "; there is bert/a, with '/' in place of '.'"),
    ("bert/enc.0/", "s/", "bert/enc/0/a", "; there is bert/enc/0/a, with '/' in place of '.'"),
    ("bert.x.y/a", "s/a", "bert/x.y/a", "; nearest: bert/x.y/a"),
    (
      "layers/dense/kernel", "s/a", "layers/dense/vars/0",
      "; there is layers/dense/vars/0: Keras's files number the variables of a layer in the order in "
        + "which the layer makes them"
    ),
    (
      "dense/bias", "s/a", "layers/dense/vars/0",
      "; there is layers/dense/vars/0: Keras's files number the variables of a layer in the order in "
        + "which the layer makes them"
    ),
    ("dense/kernel", "s/a", "dense/dense/kernel:0", "; nearest: dense/dense/kernel:0"),
    ("kernel", "s/a", "d/kernel:0", "; nearest: d/kernel:0"),
    ("q", "s/a", "q:0", "; there is q:0, with TensorFlow's output suffix"),
    ("z", "s/a", "z_ref", "; nearest: z_ref"),
    ("m/", "s/", "m/a/kernel", "; m/a is a scope of the checkpoint, not a tensor"),
  ])
  func `a missing tensor gets a hint at its cause`(
    key: Name, target: Name, tensor: Name, hint: String
  ) {
    let message = message(
      AssignmentMap([.init(key, .name(target))]), ["s/a"], in: [tensor, "x/b"])
    #expect(message?.contains("is not found in the checkpoint" + hint) == true, "\(message ?? "")")
    #expect(message?.hasSuffix(hint) == true)
  }

  @Test(arguments: [
    ("w", "v:0", "no variable is named v:0; leave out TensorFlow's output suffix: the name is v"),
    ("w", "V", "no variable is named V; there is v, which differs only in upper and lower case"),
    ("w", "a", "no variable is named a; there is s/a, with s/ in front"),
    ("w", "m/v", "no variable is named m/v; there is v, without m/ in front"),
    ("v", "w", "no variable is named w; key and target are swapped: w is in the checkpoint"),
    (
      "bert", "s/", "the target s/ is a scope; a scope key must end in '/'; write bert/ as its key"
    ),
    (
      "brt", "s/", "the target s/ is a scope; a scope key must end in '/'; nearest: bert/"
    ),
    ("w", "s/", "the target s/ is a scope; a scope key must end in '/'"),
    ("w", "p:0", "no variable is named p:0; leave out TensorFlow's output suffix: the name is p"),
  ])
  func `a missing target gets a hint at its cause`(
    key: Name, target: Name, words: String
  ) throws {
    let variables = Model.variables(["s/a", "v"]) + (try Model.partitions("p"))
    let catalog = Model.catalog(["w", "bert/a"])
    let found = problems(AssignmentMap([.init(key, .name(target))]), variables, catalog, [])
    #expect(found?.first.reason == .scopeOnly)
    #expect(found?.first.message == "key \(key): \(words)")
  }

  @Test(arguments: ["w", "bert/w", "bert/"])
  func `if a checkpoint has one tensor, its name is the hint`(key: Name) {
    let map = AssignmentMap([.init(key, key == "bert/" ? "s/" : "s/a")])
    let hint = "; the checkpoint's only tensor is arr_0"
    #expect(message(map, ["s/a"], in: ["arr_0"])?.hasSuffix(hint) == true)
    #expect(message(map, ["s/a"], in: ["arr_0", "arr_1"])?.hasSuffix(hint) == false)
  }

  @Test func `a misspelled scope is one problem, and all its tensors are counted`() {
    let names = (0..<100).map { Name("s/v\($0)") }
    let tensors = (0..<100).map { Name("bert/v\($0)") }
    let found = problems(
      ["brt/": "s/", "w": "x"], Model.variables(names + ["x"]), Model.catalog(tensors + ["b"]), [])
    #expect(found?.all.map(\.key) == ["brt/", "w"])
    #expect(found?.total == 101)
    #expect(
      found?.first.message
        == "key brt/: tensor brt/v0 for variable s/v0 is not found in the checkpoint; no tensor is in "
        + "scope brt/; nearest: bert/; the same holds for 99 more names")
  }

  @Test func `an empty name is shown by its quotes`() {
    #expect(
      message(["": "s/"], ["s/a"], in: ["w"])
        == "key '': the target s/ is a scope; a scope key must end in '/'")
    #expect(
      message(["w": ""], ["a"], in: ["w"])?.hasPrefix("key w: no variable is named ''")
        == true)
  }

  @Test func `a variable object with an output suffix gets a hint`() {
    let message = message(["w": .variable("v:0")], ["v"], in: ["w"])
    #expect(
      message
        == "key w: variable v:0 is not declared; leave out TensorFlow's output suffix: the name is v"
    )
  }

  @Test func `scopes without their slashes are reported as scopes`() {
    let message = message(["bert": "s"], ["s/a"], in: ["bert/a"])
    #expect(
      message == "key bert: the target s is a scope; a scope key must end in '/'; write s/, and "
        + "bert/ as its key")
  }

  @Test(arguments: [
    ("Student/", "there is student/, which differs only in upper and lower case"),
    ("m/student/", "there is student/, without m/ in front"),
    ("enc/", "there is student/enc/, with student/ in front"),
    ("bert/", "key and target are swapped: bert/ is in the checkpoint"),
  ])
  func `a scope without variables gets a hint at its cause`(target: Name, hint: String) {
    let message = message(
      AssignmentMap([.init("student/", .name(target))]), ["student/enc/part_x/a"], in: ["bert/a"])
    #expect(
      message == "nothing is assigned: key student/: no variable is in scope \(target); \(hint)")
  }

  @Test func `variables outside the store are reported as outside`() {
    let variable = Variable("student/a", dtype: .float32, shape: [2], isInStore: false)
    let found = problems(["bert/": "student/"], [variable], Model.catalog(["bert/a"]), [])
    #expect(
      found?.first.message.hasSuffix(
        "; its variables are outside the variable store, and must be passed as objects") == true)
  }

  @Test func `a cause is reported once, not once for each tensor`() {
    let names = (0..<1000).map { "v\($0)" }
    let variables = Model.variables(names.map { Name("s/\($0)") } + ["s/none"])
    let catalog = Model.catalog(names.map { Name("model/bert/\($0)") })
    let scope = problems(["bert/": "s/"], variables, catalog, [])
    #expect(scope?.all.map(\.tensor) == ["bert/none", "bert/v0"])
    #expect(
      scope?.all.last?.message.hasSuffix(
        "with model/ in front; the same holds for 999 more names") == true)
    let pairs = names.map { AssignmentMap.Pair(Name("bert/\($0)"), .name(Name("s/\($0)"))) }
    let each = problems(AssignmentMap(pairs), variables, catalog, [])
    #expect(each?.all.count == 1)
    #expect(each?.total == 1000)
    #expect(each?.first.message.hasSuffix("for 999 more names") == true)
  }

  @Test func `several names that lack the output suffix are one problem`() {
    let names = (0..<100).map { Name("s/v\($0)") }
    let found = problems(
      ["s/": "s/"], Model.variables(names), Model.catalog(names.map { Name("\($0):0") }), [])
    #expect(found?.all.count == 1)
    #expect(found?.first.message.hasSuffix("suffix; the same holds for 99 more names") == true)
  }

  @Test func `a variable that is taken for a partition is not blamed on the scope's slash`() {
    let message = message(["m/": "m2/"], ["m2/part_0"], in: ["m/part_0"])
    #expect(message?.hasSuffix("; m is a scope of the checkpoint, not a tensor") == true)
  }

  @Test func `a map that is swapped as a whole is refused once`() {
    let names = (0..<100).map { "v\($0)" }
    let pairs = names.map { AssignmentMap.Pair(Name("s/\($0)"), .name(Name("bert/\($0)"))) }
    let found = problems(
      AssignmentMap(pairs), Model.variables(names.map { Name("s/\($0)") }),
      Model.catalog(names.map { Name("bert/\($0)") }), [])
    #expect(found?.all.count == 1)
    #expect(found?.total == 100)
    #expect(found?.first.message.contains("key and target are swapped") == true)
    #expect(found?.first.message.hasSuffix("for 99 more names") == true)
  }

  @Test func `a name that may stand for two tensors gets no guess`() {
    let message = message(["kernel": "w"], ["w"], in: ["a/kernel", "b/kernel"])
    #expect(message?.contains("in front") == false)
    #expect(message?.hasSuffix("; nearest: a/kernel, b/kernel") == true)
  }

  @Test func `a name with part_ that is no partition is reported as taken for one`() {
    let variables: [Name] = ["m/part_of_speech/kernel", "m/part_of_speech/bias"]
    let catalog = Model.catalog([
      "model/part_of_speech/kernel", "model/part_of_speech/bias",
    ])
    let found = problems(["model/": "m/"], Model.variables(variables), catalog, [])
    #expect(found?.all.map(\.reason) == [.tensorNotFound])
    #expect(found?.first.variable == "m/part_of_speech/bias")
    #expect(
      found?.first.message
        == "key model/: variable m/part_of_speech/bias is taken for a partition of m, as is every "
        + "name with /part_ where a scope is mapped, and tensor model is not found in the "
        + "checkpoint; assign it by a pair of its own")
    let pairs = variables.map {
      AssignmentMap.Pair(Name("model/" + $0.description.dropFirst(2)), .name($0))
    }
    #expect(problems(AssignmentMap(pairs), Model.variables(variables), catalog, []) == nil)
  }

  @Test func `hostile names do not make hints expensive`() {
    let slashes = Name([UInt8](repeating: 0x2f, count: 1 << 16))
    let tensors = (0..<40).map { Name("\($0)".utf8 + slashes.bytes) }
    let variables = Model.variables(tensors.map { Name("v".utf8 + $0.bytes) })
    for key in [slashes, Name(slashes.bytes + [0x61])] {
      let map = AssignmentMap([.init(key, .name(slashes)), .init("a", .name("b"))])
      #expect(problems(map, variables, Model.catalog(tensors), []) != nil)
    }
  }
}
