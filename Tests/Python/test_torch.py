"""Checkpoints as tensors of torch."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart

import bundles
from daemons import REPOSITORY, Daemon, wait_until
from documents import example
from memory import copied_bytes, in_fresh_process

torch = pytest.importorskip("torch", reason="torch is not installed")

import warmstart.torch
from warmstart._torch_variables import Declared

# The types that torch 2.13 lacks.
LACKING = ("float8_e4m3b11fnuz", "float4_e2m1fn")
EMBEDDINGS = "bert/embeddings/"
BETA, GAMMA = EMBEDDINGS + "LayerNorm/beta", EMBEDDINGS + "LayerNorm/gamma"


class Encoder(torch.nn.Module):
    """Named as the demo checkpoint is, with dots; and a head that it lacks."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.embeddings = torch.nn.Module()
        self.embeddings.word_embeddings = torch.nn.Parameter(torch.zeros(8192, 256, device=device))
        self.embeddings.LayerNorm = torch.nn.Module()
        self.embeddings.LayerNorm.gamma = torch.nn.Parameter(torch.zeros(256, device=device))
        self.embeddings.LayerNorm.register_buffer("beta", torch.zeros(256, device=device))
        self.head = torch.nn.Linear(256, 3, device=device)


@pytest.fixture
def demo(golden: Path) -> str:
    return str(golden / "demo")


def stored_in(path: str) -> dict[str, np.ndarray]:
    """What is stored, as numpy has it."""
    return warmstart.open(path).arrays()


def bytes_of(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_every_dtype_has_the_stored_bytes(golden: Path) -> None:
    checkpoint = warmstart.open(golden / "v2_dtypes" / "all")
    held = [
        name
        for name, tensor in checkpoint.tensors.items()
        if tensor.dtype not in (*LACKING, "string")
    ]
    tensors = warmstart.torch.load(golden / "v2_dtypes" / "all", held)
    stored = checkpoint.arrays(held)
    assert list(tensors) == held
    for name, tensor in tensors.items():
        dtype = name.split("/")[0]
        # Quantized numbers are plain ones.
        expected = dtype.removeprefix("q")
        assert str(tensor.dtype) == f"torch.{expected}", name
        assert tuple(tensor.shape) == stored[name].shape
        assert bytes_of(tensor) == stored[name].tobytes()


def test_numbers_are_those_that_were_stored(golden: Path) -> None:
    path = golden / "v2_dtypes" / "all"
    names = [f"{dtype}/mat" for dtype in ("bfloat16", "float8_e5m2", "int64", "float64")]
    tensors = warmstart.torch.load(path, names)
    for name, array in warmstart.open(path).arrays(names).items():
        expected = array.astype(np.float64)
        assert np.array_equal(tensors[name].to(torch.float64).numpy(), expected, equal_nan=True)


def test_dtypes_that_torch_lacks_are_refused_all_at_once(golden: Path) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        warmstart.torch.load(golden / "v2_dtypes" / "all")
    assert caught.value.reason == "UNSUPPORTED"
    assert {problem.variable.split("/")[0] for problem in caught.value.problems} == set(LACKING)


def test_strings_are_refused_if_they_are_named_and_left_out_otherwise(golden: Path) -> None:
    path = golden / "tf2_object"
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    assert graph in warmstart.open(path).tensors
    assert graph not in warmstart.torch.load(path)
    with pytest.raises(warmstart.WarmstartError, match=f"{graph} has dtype string: torch has no"):
        warmstart.torch.load(path, [graph])
    with pytest.raises(warmstart.WarmstartError, match="torch has no such tensors"):
        warmstart.torch.resolve(path, {graph: "graph"}, {"graph": ("string", [])})


def test_a_string_variable_that_gets_no_value_is_no_error(demo: str) -> None:
    variables = {"beta": ("float32", [256]), "vocabulary": ("string", [3])}
    tensors = warmstart.torch.resolve(demo, {EMBEDDINGS + "LayerNorm/beta": "beta"}, variables)
    assert list(tensors) == ["beta"]


def test_keys_are_renamed_by_a_map_or_a_function(demo: str) -> None:
    beta, gamma = EMBEDDINGS + "LayerNorm/beta", EMBEDDINGS + "LayerNorm/gamma"
    assert list(warmstart.torch.load(demo, {beta: "b", gamma: "g"})) == ["b", "g"]
    renamed = warmstart.torch.load(
        demo,
        [beta, gamma],
        rename=lambda name: name.replace("/", ".") if name.endswith("beta") else None,
    )
    assert list(renamed) == ["bert.embeddings.LayerNorm.beta"]
    with pytest.raises(ValueError, match="'x' stands for two tensors"):
        warmstart.torch.load(demo, {beta: "x", gamma: "x"})
    with pytest.raises(TypeError, match="got the string"):
        warmstart.torch.load(demo, beta)


def test_names_that_no_tensor_has_are_refused_all_at_once(demo: str) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        warmstart.torch.load(demo, ["x", "global_step", "y"])
    assert caught.value.reason == "TENSOR_NOT_FOUND"
    assert [problem.tensor for problem in caught.value.problems] == ["x", "y"]


@pytest.mark.parametrize(
    "assignment_map",
    [
        {"bert/": "/"},
        {"bert/embeddings/": "embeddings/"},
        {"bert/embeddings/": "embeddings."},
        {
            "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
            "bert/embeddings/LayerNorm/": "embeddings/LayerNorm/",
        },
        {re.compile("bert/embeddings/(.*)"): r"embeddings.\1"},
    ],
    ids=["root", "slashes", "dots", "mixed", "pattern"],
)
def test_scopes_meet_dotted_names(demo: str, assignment_map: dict[object, str]) -> None:
    arrays = stored_in(demo)
    module = Encoder()
    expected = {
        "embeddings.word_embeddings",
        "embeddings.LayerNorm.gamma",
        "embeddings.LayerNorm.beta",
    }
    options = {"skip_missing": True}
    for variables in (module, module.state_dict()):
        tensors = warmstart.torch.resolve(demo, assignment_map, variables, **options)
        assert set(tensors) == expected
        for name, tensor in tensors.items():
            assert np.array_equal(tensor.numpy(), arrays["bert/" + name.replace(".", "/")])
    parameters = warmstart.torch.resolve(demo, assignment_map, module.named_parameters(), **options)
    assert set(parameters) == expected - {"embeddings.LayerNorm.beta"}


def test_another_separator_or_none_can_be_chosen(demo: str) -> None:
    beta = {EMBEDDINGS + "LayerNorm/beta": "a/b"}
    declared = ("float32", [256])
    assert list(warmstart.torch.resolve(demo, beta, {"a::b": declared}, separator="::")) == ["a::b"]
    assert list(warmstart.torch.resolve(demo, beta, {"a/b": declared}, separator=None)) == ["a/b"]
    with pytest.raises(warmstart.WarmstartError) as caught:
        warmstart.torch.resolve(demo, beta, {"a.b": declared}, separator=None)
    assert caught.value.reason == "SCOPE_ONLY"


def test_names_that_become_one_are_refused(demo: str) -> None:
    declared = ("float32", [256])
    with pytest.raises(ValueError, match="'a.b' and 'a/b' have one name"):
        warmstart.torch.resolve(demo, {"x": "y"}, {"a.b": declared, "a/b": declared})


def test_a_tensor_can_stand_in_the_map(demo: str) -> None:
    arrays = stored_in(demo)
    module = Encoder()
    norm = module.embeddings.LayerNorm
    tensors = warmstart.torch.resolve(
        demo, {EMBEDDINGS + "LayerNorm/beta": (norm.gamma, "embeddings.LayerNorm.beta")}, module
    )
    assert set(tensors) == {"embeddings.LayerNorm.gamma", "embeddings.LayerNorm.beta"}
    for tensor in tensors.values():
        assert np.array_equal(tensor.numpy(), arrays[EMBEDDINGS + "LayerNorm/beta"])
    with pytest.raises(ValueError, match="no variable"):
        warmstart.torch.resolve(demo, {"x": torch.zeros(3)}, module)


def test_partitions_are_tensors_too(demo: str) -> None:
    arrays = stored_in(demo)
    variables = warmstart.partitions(
        "table.weight", "float32", [8192, 256], warmstart.fixed_size_partitioner(4)
    )
    word_embeddings = EMBEDDINGS + "word_embeddings"
    for target in ("table.weight", "table/weight", variables):
        parts = warmstart.torch.resolve(demo, {word_embeddings: target}, variables)
        assert list(parts) == [f"table.weight/part_{number}" for number in range(4)]
        whole = torch.cat(list(parts.values()))
        assert np.array_equal(whole.numpy(), arrays[word_embeddings])


def test_a_module_gets_its_values_and_stays_what_it_was(demo: str) -> None:
    arrays = stored_in(demo)
    module = Encoder()
    weight = module.embeddings.word_embeddings
    head = module.head.weight.clone()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    report = warmstart.torch.load_into(module, demo, {"bert/embeddings/": "embeddings."})
    assert module.embeddings.word_embeddings is weight
    assert weight.requires_grad
    assert copied_bytes([tensor.data_ptr() for tensor in (weight, weight[5:], weight.data)]) == 0
    assert torch.equal(module.head.weight, head)
    stored = torch.from_numpy(arrays[EMBEDDINGS + "word_embeddings"].copy())
    assert torch.equal(weight, stored)
    assert report.assigned == {
        "embeddings.word_embeddings": EMBEDDINGS + "word_embeddings",
        "embeddings.LayerNorm.gamma": EMBEDDINGS + "LayerNorm/gamma",
        "embeddings.LayerNorm.beta": EMBEDDINGS + "LayerNorm/beta",
    }
    assert sorted(report.uncovered) == ["head.bias", "head.weight"]
    # The optimizer was made before, and trains what the module computes with.
    weight.sum().backward()
    optimizer.step()
    assert torch.equal(module.embeddings.word_embeddings, stored - 1.0)


def test_what_a_trainer_writes_never_reaches_the_checkpoint(golden: Path, demo: str) -> None:
    files = [*(golden / "demo").glob("model.ckpt*")]
    before = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    module = Encoder()
    warmstart.torch.load_into(module, demo, {"bert/embeddings/": "embeddings."})
    for tensor in module.state_dict().values():
        tensor.fill_(0.5)
    again = warmstart.torch.load(demo, [EMBEDDINGS + "word_embeddings"])
    assert not bool((again[EMBEDDINGS + "word_embeddings"] == 0.5).any())
    assert [hashlib.sha256(file.read_bytes()).digest() for file in files] == before


def test_tied_weights_stay_tied(demo: str) -> None:
    for device in ("cpu", "meta"):
        module = Encoder(device)
        module.decoder = torch.nn.Linear(256, 8192, bias=False, device=device)
        module.decoder.weight = module.embeddings.word_embeddings
        warmstart.torch.load_into(module, demo, {"bert/embeddings/": "embeddings."})
        assert module.decoder.weight is module.embeddings.word_embeddings
        assert module.decoder.weight.device.type == "cpu"
        with pytest.raises(ValueError, match="is tied to a variable that gets"):
            warmstart.torch.load_into(
                module,
                demo,
                {
                    EMBEDDINGS + "word_embeddings": "embeddings.word_embeddings",
                    EMBEDDINGS + "word_embeddings/adam_m": "decoder.weight",
                },
            )


def test_a_module_without_memory_gets_some(demo: str) -> None:
    arrays = stored_in(demo)
    module = Encoder("meta")
    module.embeddings.word_embeddings.requires_grad_(False)
    warmstart.torch.load_into(module, demo, {"bert/embeddings/": "embeddings."})
    weight, norm = module.embeddings.word_embeddings, module.embeddings.LayerNorm
    assert isinstance(weight, torch.nn.Parameter) and not weight.requires_grad
    assert isinstance(norm.gamma, torch.nn.Parameter) and norm.gamma.requires_grad
    assert not isinstance(norm.beta, torch.nn.Parameter)
    assert np.array_equal(norm.beta.numpy(), arrays[EMBEDDINGS + "LayerNorm/beta"])
    # Variables without a value still have no memory.
    assert module.head.weight.device.type == "meta"


def test_an_error_changes_nothing(demo: str) -> None:
    module = Encoder()
    module.embeddings.extra = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(warmstart.WarmstartError) as caught:
        warmstart.torch.load_into(module, demo, {"bert/embeddings/": "embeddings."})
    assert caught.value.reason == "TENSOR_NOT_FOUND"
    assert not bool(module.embeddings.word_embeddings.any())
    report = warmstart.torch.load_into(
        module, demo, {"bert/embeddings/": "embeddings."}, skip_missing=True
    )
    assert [skipped.variable for skipped in report.skipped] == ["embeddings.extra"]
    assert bool(module.embeddings.word_embeddings.any())


def test_axes_can_be_permuted_without_a_copy(demo: str) -> None:
    arrays = stored_in(demo)
    module = torch.nn.Sequential()
    module.add_module("output", torch.nn.Linear(1024, 256, bias=False))
    kernel = "bert/encoder/layer_0/output/kernel"
    pairs = {kernel: "output.weight"}
    with pytest.raises(warmstart.WarmstartError) as caught:
        warmstart.torch.load_into(module, demo, pairs)
    assert caught.value.reason == "SHAPE_MISMATCH"
    warmstart.torch.load_into(module, demo, pairs, permute={"output.weight": (1, 0)})
    weight = module.output.weight
    assert np.array_equal(weight.detach().numpy(), arrays[kernel].T)
    assert weight.stride() == (1, 256)
    inputs = torch.ones(2, 1024)
    assert torch.allclose(module(inputs), inputs @ torch.from_numpy(arrays[kernel].copy()))
    (tensor,) = warmstart.torch.resolve(
        demo, {kernel: "w"}, {"w": ("float32", [256, 1024])}, permute={"w": [1, 0]}
    ).values()
    assert tensor.shape == (256, 1024)
    for wrong in ((0, 0), (0,), (0, 1, 2)):
        with pytest.raises(ValueError, match="order of the axes of output.weight"):
            warmstart.torch.load_into(module, demo, pairs, permute={"output.weight": wrong})
    with pytest.raises(ValueError, match="no variable x"):
        warmstart.torch.load_into(module, demo, pairs, permute={"x": (1, 0)})
    with pytest.raises(ValueError, match="nearest: output.weight"):
        warmstart.torch.load_into(module, demo, pairs, permute={"ouput.weight": (1, 0)})


def test_a_kernel_in_tensorflows_layout_gets_a_hint_at_its_order(demo: str) -> None:
    kernel = "bert/encoder/layer_0/output/kernel"
    module = torch.nn.ModuleDict({"output": torch.nn.Linear(1024, 256, bias=False)})
    with pytest.raises(warmstart.WarmstartError) as raised:
        warmstart.torch.load_into(module, demo, {kernel: "output.weight"})
    assert raised.value.reason == "SHAPE_MISMATCH"
    (problem,) = raised.value.problems
    assert problem.variable == "output.weight"
    assert raised.value.message == problem.message
    assert problem.message == (
        f"key {kernel}: shape [256, 1024] of variable output.weight doesn't match shape "
        f"[1024, 256] of tensor {kernel}; if it is stored as TensorFlow does: "
        "permute={'output.weight': (1, 0)}"
    )
    assert raised.value.checkpoint == demo
    for shape, permute in (([256, 1000], {}), ([1024, 256], {"w": (1, 0)})):
        declared = {"w": ("float32", shape)}
        with pytest.raises(warmstart.WarmstartError) as raised:
            warmstart.torch.resolve(demo, {kernel: "w"}, declared, permute=permute)
        assert "permute" not in raised.value.message


def test_another_order_of_axes_is_hinted_at_as_permute(tmp_path: Path) -> None:
    torch.save({"k": torch.zeros(2, 3, 5)}, tmp_path / "m.pt")
    for permute, end in (({}, "; with permute={'w': (0, 2, 1)} it fits"), ({"w": (0, 1, 2)}, "")):
        with pytest.raises(warmstart.WarmstartError) as raised:
            warmstart.torch.resolve(
                tmp_path / "m.pt", {"k": "w"}, {"w": ("float32", [2, 5, 3])}, permute=permute
            )
        assert raised.value.message.endswith(end)
        assert ("permute" in raised.value.message) == bool(end)
    # `permute` takes no partitions; the option `transpose` does.
    parts = warmstart.partitions("w", "float32", [2, 5, 3], warmstart.fixed_size_partitioner(2))
    with pytest.raises(warmstart.WarmstartError) as raised:
        warmstart.torch.resolve(tmp_path / "m.pt", {"k": "w"}, parts)
    assert raised.value.message.endswith("; with transpose={'w': (0, 2, 1)} it fits")


def test_errors_have_the_names_that_the_user_knows(demo: str) -> None:
    declared = {"a.w": ("float32", [2]), "a.w.b": ("float32", [2])}
    with pytest.raises(warmstart.WarmstartError) as raised:
        warmstart.torch.resolve(demo, {EMBEDDINGS: "a."}, declared)
    assert [problem.variable for problem in raised.value.problems] == ["a.w", "a.w.b"]
    for problem in raised.value.problems:
        assert f" for variable {problem.variable} is not found" in problem.message
    assert raised.value.message == raised.value.problems[0].message
    assert raised.value.checkpoint == demo


WRONG_NAMES: dict[str, tuple[Any, str]] = {
    "a variable": (
        {BETA: "ouput.weight"},
        f"key {BETA}: no variable is named ouput.weight; nearest: output.weight",
    ),
    "a variable with a slash": (
        {BETA: "ouput/weight"},
        f"key {BETA}: no variable is named ouput/weight; nearest: output.weight",
    ),
    "a scope": (
        {"bert/": "encodr.layer."},
        "nothing is assigned: key bert/: no variable is in scope encodr.layer.; "
        + "nearest: encoder.layer.",
    ),
    "a scope without its end": (
        {"bert/": "encoder.layer"},
        "key bert/: tensor bert/layer/beta for variable encoder.layer.beta is not found in the "
        + "checkpoint; encoder.layer is a scope: write encoder.layer.",
    ),
    "a scope for a tensor": (
        {BETA: "encoder.layer"},
        f"key {BETA}: the target encoder.layer is a scope; a scope key must end in '/'; "
        + "write encoder.layer.",
    ),
    "a template": (
        {re.compile("bert/embeddings/LayerNorm/(beta)"): r"encoder.layr.\1"},
        r"pattern 'bert/embeddings/LayerNorm/(beta)': template 'encoder.layr.\\1' gives the name of "
        + f"no variable: tensor {BETA} becomes encoder.layr.beta; nearest: encoder.layer.beta",
    ),
    "a template of a scope": (
        {re.compile("bert/embeddings/(LayerNorm/beta)"): r"encodr/\1"},
        r"pattern 'bert/embeddings/(LayerNorm/beta)': template 'encodr.\\1' gives the name of "
        + f"no variable: tensor {BETA} becomes encodr.LayerNorm.beta; nearest: encoder.layer.beta",
    ),
    "a tensor": (
        {"output.weight": BETA},
        f"key output.weight: no variable is named {BETA}; nearest: encoder.layer.beta",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_NAMES)
def test_an_unknown_name_and_the_nearest_are_written_as_the_user_does(
    wrong: str, demo: str
) -> None:
    pairs, message = WRONG_NAMES[wrong]
    declared = dict.fromkeys(["output.weight", "encoder.layer.beta"], ("float32", [256]))
    with pytest.raises(warmstart.WarmstartError) as raised:
        warmstart.torch.resolve(demo, pairs, declared)
    assert raised.value.message == message


def test_options_that_name_no_variable_are_refused_in_the_users_names(demo: str) -> None:
    declared = {"output.weight": ("float32", [256])}
    options: list[Any] = [{"transpose": {"ouput.weight": [0]}}, {"gather": {"ouput.weight": {}}}]
    for option in options:
        with pytest.raises(
            ValueError, match=r"no variable ouput\.weight; nearest: output\.weight$"
        ):
            warmstart.torch.resolve(demo, {BETA: "output.weight"}, declared, **option)
    with pytest.raises(ValueError, match=r"each axis of output\.weight once"):
        warmstart.torch.resolve(
            demo, {BETA: "output.weight"}, declared, transpose={"output.weight": (0, 0)}
        )


def test_a_tensor_with_the_maps_name_of_a_variable_keeps_its_name(tmp_path: Path) -> None:
    model = bundles.write(tmp_path / "model", {"a/w": bundles.floats(0, (4,))})
    with pytest.raises(warmstart.WarmstartError) as raised:
        warmstart.torch.resolve(model, {"a/w": "a.w"}, {"a.w": ("float32", [3])})
    assert raised.value.message == (
        "key a/w: shape [3] of variable a.w doesn't match shape [4] of tensor a/w"
    )


def test_only_tensorflows_formats_are_taken_for_tensorflows_layout(tmp_path: Path) -> None:
    # Another order than TensorFlow's fits, too, so only the layout gives a hint.
    cube = np.zeros((3, 3, 3, 5), np.float32)
    torch.save({"k": torch.from_numpy(cube), "m": torch.zeros(2, 3)}, tmp_path / "m.pt")
    model = bundles.write(tmp_path / "model", {"k": cube, "m": np.zeros((2, 3), np.float32)})
    layout = "; if it is stored as TensorFlow does: permute={'w': %s}"
    for path, key, shape, end in (
        (model, "m", [3, 2], layout % "(1, 0)"),
        (tmp_path / "m.pt", "m", [3, 2], "; with permute={'w': (1, 0)} it fits"),
        (model, "k", [5, 3, 3, 3], layout % "(3, 2, 0, 1)"),
        (tmp_path / "m.pt", "k", [5, 3, 3, 3], "of tensor k"),
    ):
        with pytest.raises(warmstart.WarmstartError) as raised:
            warmstart.torch.resolve(path, {key: "w"}, {"w": ("float32", shape)})
        assert raised.value.message.endswith(end)
        with pytest.raises(warmstart.WarmstartError) as raised:
            warmstart.torch.resolve(path, {key: "w"}, {"w": ("float32", shape)}, separator="/")
        assert raised.value.message.endswith(end)


def test_a_permuted_shape_is_declared_as_it_is_stored() -> None:
    declared = Declared(
        {"conv.weight": ("float32", [64, 3, 5, 7])}, ".", {"conv.weight": (3, 2, 0, 1)}
    )
    # [height, width, inputs, outputs] in the checkpoint.
    assert declared.variables == [warmstart.Variable("conv/weight", "float32", (5, 7, 3, 64))]
    assert torch.empty(5, 7, 3, 64).permute(3, 2, 0, 1).shape == (64, 3, 5, 7)


def test_read_only_tensors_are_refused(demo: str) -> None:
    with pytest.raises(ValueError, match="no read-only tensors"):
        warmstart.torch.load(demo, writable=False)
    with pytest.raises(ValueError, match="no read-only tensors"):
        warmstart.torch.resolve(demo, {"bert/": "/"}, Encoder(), writable=False)


def test_the_lease_lasts_as_long_as_the_memory(demo: str, own_daemon: Daemon) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        tensors = warmstart.torch.load(demo, client=client)
        module = Encoder()
        warmstart.torch.load_into(module, demo, {"bert/embeddings/": "embeddings."}, client=client)
        assert client.status().lease_count == 2
        part = tensors["bert/embeddings/word_embeddings"][5:9, 3]
        del tensors
        gc.collect()
        assert client.status().lease_count == 2
        del part
        gc.collect()
        assert wait_until(lambda: client.status().lease_count == 1)
        del module
        gc.collect()
        assert wait_until(lambda: client.status().lease_count == 0)


def test_what_a_map_leaves_undone_has_the_names_of_the_trainer(demo: str) -> None:
    variables = {"a.b": ("float32", [256]), "c.d": ("float32", [3]), "e.f": ("float32", [1])}
    declared = Declared(variables, ".", None)
    pairs = {BETA: "a.b", GAMMA: "c.d", "x/": "y."}
    resolved = warmstart.resolve(
        demo, declared.translated(pairs), declared.variables, lenient=True, skip_mismatched=True
    )
    report = declared.report(resolved.report)
    assert report.assigned == {"a.b": BETA}
    assert [skipped.variable for skipped in report.skipped] == ["c.d"]
    assert report.uncovered == ["e.f"]
    assert report.unused == [("x/", ("y.",))]


def test_rows_can_be_gathered_for_dotted_names(demo: str) -> None:
    rows = [8191, 3, -1, 3]
    (tensor,) = warmstart.torch.resolve(
        demo,
        {EMBEDDINGS + "word_embeddings": "words.weight"},
        {"words.weight": ("float32", [4, 256])},
        gather={"words.weight": {0: rows}},
    ).values()
    stored = stored_in(demo)[EMBEDDINGS + "word_embeddings"]
    expected = [stored[row] if row >= 0 else 0 * stored[0] for row in rows]
    assert np.array_equal(tensor.numpy(), expected)


def test_axes_are_transposed_for_dotted_names(demo: str) -> None:
    tensors = warmstart.torch.resolve(
        demo,
        {EMBEDDINGS + "word_embeddings": "words.weight"},
        {"words.weight": ("float64", [256, 8192])},
        transpose={"words.weight": (1, 0)},
        cast=True,
    )
    stored = stored_in(demo)[EMBEDDINGS + "word_embeddings"]
    assert np.array_equal(tensors["words.weight"].numpy(), stored.T.astype(np.float64))


def test_nothing_is_copied_before_it_is_written(demo: str) -> None:
    measured = in_fresh_process(
        """
        import json, sys
        import torch
        import warmstart.torch
        from memory import private_bytes

        torch.set_num_threads(1)
        torch.ones(1 << 20).sum()
        before = private_bytes()
        tensors = warmstart.torch.load(sys.argv[1])
        size = sum(tensor.nbytes for tensor in tensors.values())
        total = sum(float(tensor.sum()) for tensor in tensors.values())
        read = private_bytes() - before
        for name in ("word_embeddings", "word_embeddings/adam_m"):
            tensors["bert/embeddings/" + name].add_(1.0)
        print(json.dumps([size, total, read, private_bytes() - before]))
        """,
        demo,
    )
    size, total, read, written = measured
    assert total != 0
    assert read < size / 4
    assert 2 << 23 <= written < (2 << 23) + size / 4


@pytest.mark.parametrize("wrong", ["a path", torch.nn.Linear(2, 2).parameters(), None, 5])
def test_objects_without_names_are_not_variables(wrong: Any, demo: str) -> None:
    with pytest.raises(TypeError, match="variables: expected a module"):
        warmstart.torch.resolve(demo, {BETA: "beta"}, wrong)


def test_the_example_in_the_documentation_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    exec(example("torch"), {})  # noqa: S102
    assert capsys.readouterr().out == (
        "{'output.weight': 'bert/encoder/layer_0/output/kernel'} ['head.weight', 'head.bias']\n"
    )


@pytest.fixture
def installed(client: warmstart.Client) -> Iterator[None]:
    warmstart.torch.install(client=client)
    yield
    warmstart.torch.uninstall()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A file with more than tensors in it."""
    path = tmp_path / "training.pt"
    torch.save({"epoch": 3, "model": {"w": torch.arange(40_000.0)}, "rates": [0.5, 0.25]}, path)
    return path


def test_a_mapped_file_is_torchs_own_once_installed(installed: None, saved: Path) -> None:
    for loaded in (torch.load(saved, mmap=True), torch.load(str(saved), "cpu", mmap=True)):
        assert (loaded["epoch"], loaded["rates"]) == (3, [0.5, 0.25])
        assert torch.equal(loaded["model"]["w"], torch.arange(40_000.0))
        assert str(saved) in Path("/proc/self/maps").read_text()


def test_a_damaged_file_is_not_mapped_once_installed(client: warmstart.Client, saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[content.index(np.arange(40_000, dtype=np.float32).tobytes()) + 2] ^= 1
    saved.write_bytes(content)
    assert not torch.equal(torch.load(saved, mmap=True)["model"]["w"], torch.arange(40_000.0))
    warmstart.torch.install(client=client)
    try:
        with pytest.raises(warmstart.WarmstartError) as raised:
            torch.load(saved, mmap=True)
        # Only what is mapped is verified.
        torch.load(saved)
    finally:
        warmstart.torch.uninstall()
    assert raised.value.reason == "CHECKSUM_MISMATCH"
    torch.load(saved, mmap=True)


@pytest.mark.parametrize("fallback", [True, False])
def test_bytes_without_a_checksum_of_their_own_are_not_silent(
    client: warmstart.Client, tmp_path: Path, fallback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    whole, path = torch.arange(40_000.0), tmp_path / "halves.pt"
    torch.save({"a": whole[:20_000], "b": whole[20_000:]}, path)
    text = f"UNIMPLEMENTED (UNSUPPORTED): {path}: 160000 bytes of tensors have no checksum"
    warmstart.torch.install(client=client, fallback=fallback)
    try:
        if fallback:
            assert torch.equal(torch.load(path, mmap=True)["b"], whole[20_000:])
            (record,) = caplog.records
            assert record.name == "warmstart"
            assert record.getMessage().startswith(text)
        else:
            with pytest.raises(warmstart.WarmstartError, match=re.escape(text)) as raised:
                torch.load(path, mmap=True)
            assert raised.value.reason == "UNSUPPORTED"
        caplog.clear()
        torch.save({"w": whole}, path)
        assert torch.equal(torch.load(path, mmap=True)["w"], whole)
        assert not caplog.records
    finally:
        warmstart.torch.uninstall()


def test_a_file_that_the_daemon_refuses_is_left_to_torch(
    installed: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "module.pt"
    torch.save(torch.nn.Linear(2, 3), path)
    assert torch.load(path, mmap=True, weights_only=False).weight.shape == (3, 2)
    (record,) = caplog.records
    assert "(UNSUPPORTED)" in record.getMessage()
    assert record.getMessage().endswith("; now torch is asked to map the file, unverified")


@pytest.mark.parametrize("fallback", [True, False])
def test_a_file_that_torch_does_not_map_is_torchs_own(
    client: warmstart.Client, tmp_path: Path, fallback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    old, other, empty = (tmp_path / name for name in ("old.pt", "x.index.json", "name:x"))
    torch.save({"w": torch.zeros(3)}, old, _use_new_zipfile_serialization=False)
    other.write_text("{}")
    empty.touch()
    for path in (old, other, empty):
        raised: list[str] = []
        for _ in range(2):
            with pytest.raises((RuntimeError, EOFError)) as caught:
                torch.load(path, mmap=True)
            raised.append(repr(caught.value))
            warmstart.torch.install(client=client, fallback=fallback)
        warmstart.torch.uninstall()
        assert raised[0] == raised[1]
    assert not caplog.records


@pytest.mark.parametrize("name", ["name:x.pt", "m.index.json", "model", "a*", "file:///m.pt"])
def test_a_file_is_verified_whatever_else_its_path_means(
    client: warmstart.Client,
    saved: Path,
    golden: Path,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = bytearray(saved.read_bytes())
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)
    # A prefix of TensorFlow's.
    Path("model.index").write_bytes((golden / "demo" / "model.ckpt-1000.index").read_bytes())
    content[content.index(np.arange(40_000, dtype=np.float32).tobytes()) + 2] ^= 1
    warmstart.torch.install(client=client)
    try:
        assert torch.load(name, mmap=True)["epoch"] == 3
        Path(name).write_bytes(content)
        with pytest.raises(warmstart.WarmstartError, match="tensor model.w is damaged"):
            torch.load(name, mmap=True)
    finally:
        warmstart.torch.uninstall()
    assert not caplog.records


def test_torchs_own_setting_is_heeded(installed: None, saved: Path) -> None:
    serialization = pytest.importorskip("torch.utils.serialization", reason="an older torch")
    loading = serialization.config.load
    content = bytearray(saved.read_bytes())
    content[content.index(np.arange(40_000, dtype=np.float32).tobytes()) + 2] ^= 1
    saved.write_bytes(content)
    torch.load(saved)
    loading.mmap = True
    try:
        for options in ({}, {"mmap": None}, {"mmap": True}):
            with pytest.raises(warmstart.WarmstartError) as raised:
                torch.load(saved, **options)
            assert raised.value.reason == "CHECKSUM_MISMATCH"
        torch.load(saved, mmap=False)
    finally:
        loading.mmap = False


def test_a_second_call_changes_the_options(
    client: warmstart.Client, saved: Path, tmp_path: Path
) -> None:
    own = torch.load
    warmstart.torch.install(client=client)
    taken = torch.load
    try:
        warmstart.torch.install(client=warmstart.Client(tmp_path / "absent"), fallback=False)
        # Also for those who took the function before.
        for load in (torch.load, taken):
            with pytest.raises(warmstart.WarmstartError, match="no daemon listens"):
                load(saved, mmap=True)
        warmstart.torch.install(client=client, fallback=False)
        assert torch.load(saved, mmap=True)["epoch"] == 3
    finally:
        warmstart.torch.uninstall()
    assert torch.load is own
    assert taken(saved, mmap=True)["epoch"] == 3


def test_a_damaged_pickle_is_not_mapped(installed: None, saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    # Another key.
    content[content.index(b"rates")] ^= 1
    saved.write_bytes(content)
    with pytest.raises(warmstart.WarmstartError, match="the checksum of its entry") as raised:
        torch.load(saved, mmap=True)
    assert raised.value.reason == "CHECKSUM_MISMATCH"
    # Nothing else notices it.
    assert list(torch.load(saved)) == ["epoch", "model", "sates"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[warmstart.Client]:
    """A client of a daemon that has no room for copies."""
    (tmp_path / "daemon").mkdir()
    daemon = Daemon(tmp_path / "daemon", "--budget", "8M").start()
    with warmstart.Client(daemon.socket) as client:
        yield client
    daemon.stop()


def counters(client: warmstart.Client) -> dict[str, int]:
    return {counter.name: counter.value for counter in client.status().counters}


VIEWS = {
    "transposed": torch.arange(4_000_000.0).reshape(1000, 4000).t(),
    "image": torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last),
    "dense": torch.arange(50, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 3),
}
PARTS = {
    "columns": torch.ones(100, 100)[:, :5],
    "half": torch.ones(10)[:5],
    "rows": torch.ones(4, 6).t()[1:4],
}


def test_views_with_steps_are_verified_in_place_once(
    small: warmstart.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "views.pt"
    torch.save(VIEWS, path)
    warmstart.torch.install(client=small, fallback=False)
    try:
        for _ in range(3):
            loaded = torch.load(path, mmap=True)
            assert all(torch.equal(loaded[name], tensor) for name, tensor in VIEWS.items())
            found = counters(small)
            assert (found["runs_verified"], found["arenas_made"]) == (len(VIEWS), 0)
        content = bytearray(path.read_bytes())
        content[content.index(np.arange(1000, 9000, dtype=np.float32).tobytes())] ^= 1
        path.write_bytes(content)
        with pytest.raises(warmstart.WarmstartError, match="tensor transposed is damaged"):
            torch.load(path, mmap=True)
    finally:
        warmstart.torch.uninstall()
    assert not caplog.records


def test_what_has_no_checksum_or_is_not_shared_is_told(
    small: warmstart.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "views.pt"
    unshared = {"expanded": torch.ones(3).expand(4, 3), "sparse": torch.eye(3).to_sparse()}
    torch.save({**VIEWS, **PARTS, **unshared}, path)
    with small.open(path) as checkpoint:
        verified = checkpoint.preload(strides=True)
        assert counters(small)["arenas_made"] == 0
        read = checkpoint.verify()
    assert verified.unchecked_byte_count == read.unchecked_byte_count > 0
    assert [problem.tensor for problem in verified.unshared] == list(unshared)
    warmstart.torch.install(client=small)
    try:
        assert torch.equal(torch.load(path, mmap=True)["expanded"], unshared["expanded"])
        first, second = (record.getMessage() for record in caplog.records)
        assert f"{path}: {read.unchecked_byte_count} bytes of tensors have no checksum" in first
        assert f"{path}: tensors that are not shared were not read: expanded, sparse;" in second
        warmstart.torch.install(client=small, fallback=False)
        with pytest.raises(warmstart.WarmstartError, match="have no checksum of their own"):
            torch.load(path, mmap=True)
        torch.save({**VIEWS, **unshared}, path)
        with pytest.raises(warmstart.WarmstartError, match="were not read: expanded, sparse$"):
            torch.load(path, mmap=True)
    finally:
        warmstart.torch.uninstall()


def test_views_are_counted_beside_tensors_that_need_copies(
    client: warmstart.Client, tmp_path: Path
) -> None:
    torch.save({**VIEWS, **PARTS}, tmp_path / "aligned.pt")
    path = tmp_path / "packed.pt"
    with zipfile.ZipFile(tmp_path / "aligned.pt") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name)
            # Only the dense tensor is not at a multiple of 64, behind a field of no meaning.
            count = (name.endswith("/data/2") - new.fp.tell() - 30 - len(name) - 4) % 64
            entry.extra = struct.pack("<2H", 0x4246, count) + bytes(count)
            new.writestr(entry, old.read(name))
    with client.open(path) as checkpoint:
        verified = checkpoint.preload(strides=True)
        assert verified.unchecked_byte_count == checkpoint.verify().unchecked_byte_count


def test_a_file_saved_without_checksums_has_no_verified_views(
    small: warmstart.Client, tmp_path: Path
) -> None:
    if not hasattr(torch.serialization, "set_crc32_options"):
        pytest.skip("an older torch")
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(VIEWS, tmp_path / "views.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    with small.open(tmp_path / "views.pt") as checkpoint:
        size = sum(tensor.nbytes for tensor in VIEWS.values())
        assert checkpoint.preload(strides=True).unchecked_byte_count == size


def test_a_refused_file_keeps_no_descriptor(client: warmstart.Client, tmp_path: Path) -> None:
    torch.save(PARTS, tmp_path / "parts.pt")
    gc.collect()
    gc.disable()
    warmstart.torch.install(client=client, fallback=False)
    try:
        for _ in range(50):
            with pytest.raises(warmstart.WarmstartError, match="no checksum") as raised:
                torch.load(tmp_path / "parts.pt", mmap=True)
            links = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
            assert str(tmp_path / "parts.pt") not in links
            assert client.status().lease_count == 0
            del raised
    finally:
        warmstart.torch.uninstall()
        gc.enable()


def test_torch_maps_the_file_that_was_verified(
    installed: None, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"model": "another"}, tmp_path / "other")
    own = warmstart.Checkpoint.preload

    def preload(checkpoint: warmstart.Checkpoint, **options: Any) -> Any:
        read = own(checkpoint, **options)
        (tmp_path / "other").replace(saved)
        return read

    monkeypatch.setattr(warmstart.Checkpoint, "preload", preload)
    assert torch.load(saved, mmap=True)["epoch"] == 3


def test_a_file_that_changes_while_torch_reads_it_is_refused(installed: None, saved: Path) -> None:
    def place(storage: Any, location: str) -> Any:
        os.utime(saved)
        return storage

    with pytest.raises(warmstart.WarmstartError) as raised:
        torch.load(saved, map_location=place, mmap=True)
    assert raised.value.reason == "CHECKPOINT_CHANGED"


def test_torch_loads_alone_what_is_not_served(tmp_path: Path, saved: Path) -> None:
    absent = warmstart.Client(tmp_path / "absent")
    for fallback in (True, False):
        warmstart.torch.install(client=absent, fallback=fallback)
        try:
            if fallback:
                assert torch.load(saved, mmap=True)["epoch"] == 3
            else:
                with pytest.raises(warmstart.WarmstartError, match="no daemon listens"):
                    torch.load(saved, mmap=True)
            with pytest.raises(FileNotFoundError):
                torch.load(tmp_path / "missing", mmap=True)
        finally:
            warmstart.torch.uninstall()
