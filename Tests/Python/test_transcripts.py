"""The transcripts of the protocol: the client says what they say, and understands what is answered."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import warmstart
from warmstart._protocol import message

from daemons import REPOSITORY
from impostor import Peer, sealed_memory

pytestmark = pytest.mark.usefixtures("patience")

TRANSCRIPTS = REPOSITORY / "Tests" / "Data" / "Transcripts"
GOLDEN = REPOSITORY / "Tests" / "Data" / "Golden"
PLAIN = GOLDEN / "v2_plain_resource" / "model.ckpt-1000"


class Step(NamedTuple):
    """A frame of one side, or the end of what it sends."""

    line: int
    side: str
    data: bytes
    descriptors: list[str]
    is_end: bool


def steps_of(name: str) -> list[Step]:
    """The steps of a transcript; bytes in brackets are as written."""
    steps: list[Step] = []
    text = (TRANSCRIPTS / f"{name}.txt").read_text()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in ("C>", "D>"):
            steps.append(Step(number, words.pop(0)[0], b"", [], False))
        for word in words:
            step = steps[-1]
            if word == "end":
                step = step._replace(is_end=True)
            elif word.startswith("fds="):
                match = re.fullmatch(r"fds=(\d+)\((.*)\)", word)
                assert match and int(match[1]) == len(match[2].split(","))
                step = step._replace(descriptors=match[2].split(","))
            else:
                step = step._replace(data=step.data + bytes.fromhex(word.strip("[]")))
            steps[-1] = step
    return steps


def plain(data: bytes) -> Any:
    """A call and its request, without what each client words in its own way."""
    call = message("Call").FromString(data)
    name = call.method.rpartition("/")[2]
    health = "grpc.health.v1.HealthCheckRequest"
    request = message(health if name == "Check" else name + "Request").FromString(call.request)
    call.request = b""
    if name == "Hello":
        assert request.label and request.command
        request.label = request.command = ""
    elif name == "Resolve":
        # Python's client always asks for the names of unused tensors.
        request.name_unused_tensors = True
    if name in ("Open", "List", "Resolve"):
        assert bool(request.checkpoint.label) != bool(request.checkpoint.handle)
        request.checkpoint.label = ""
    return call, request


def opened(name: str) -> int:
    if name.startswith("arena:"):
        return sealed_memory(bytes(int(name[len("arena:") :])))
    return os.open(GOLDEN / name, os.O_RDONLY | os.O_CLOEXEC)


def play(name: str) -> Callable[[Peer], None]:
    """Plays the daemon; fails where the client says something else."""

    def serve(peer: Peer) -> None:
        for step in steps_of(name):
            place = f"{name}.txt:{step.line}"
            if step.side == "D":
                if step.is_end:
                    return
                descriptors = [opened(file) for file in step.descriptors]
                try:
                    peer.send(step.data, descriptors)
                finally:
                    for descriptor in descriptors:
                        os.close(descriptor)
                continue
            body = peer.body()
            assert (body is None) == step.is_end, f"{place}: {body!r}"
            if body is None:
                continue
            assert plain(body) == plain(step.data[5:]), place
            files = [GOLDEN / file for file in step.descriptors]
            assert len(files) == len(peer.descriptors), place
            for file, descriptor in zip(files, peer.descriptors):
                assert os.path.samestat(os.stat(file), os.fstat(descriptor)), place

    return serve


def hello(client: warmstart.Client) -> None:
    client.status(timeout=None)


def health(client: warmstart.Client) -> None:
    assert client.is_serving(timeout=None)


def listing(client: warmstart.Client) -> None:
    with client.open(GOLDEN / "v2_tiles" / "t") as checkpoint:
        assert list(checkpoint.tensors) == ["x"]
        assert len(checkpoint.tensors["x"].slices) == 4


def list_chunks(client: warmstart.Client) -> None:
    with client.open(GOLDEN / "v2_many" / "many") as checkpoint:
        # As many as the transcript contains.
        assert len(checkpoint.tensors) == 4


def close(client: warmstart.Client) -> None:
    for _ in range(2):
        with client.open(GOLDEN / "v2_tiles" / "t") as checkpoint:
            assert checkpoint.tensor_count == 1


def resolve_file(client: warmstart.Client) -> None:
    pairs = [("bert/embeddings/LayerNorm/gamma", "gamma"), ("bert/", "other/")]
    with client.open(PLAIN) as checkpoint:
        resolved = checkpoint.resolve(pairs, {"gamma": ("float32", [8])}, lenient=True)
    assert resolved.tensor("gamma") == "bert/embeddings/LayerNorm/gamma"
    assert resolved.report.unused == [("bert/", ("other/",))]


def resolve_path(client: warmstart.Client) -> None:
    pairs = [("bert/embeddings/LayerNorm/gamma", "gamma"), ("bert/", "other/")]
    with client.resolve(PLAIN, pairs, {"gamma": ("float32", [8])}, lenient=True) as resolved:
        assert resolved.checkpoint.tensor_count == 12
        assert resolved["gamma"].shape == (8,)
        assert resolved.report.unused == [("bert/", ("other/",))]


def resolve_arena(client: warmstart.Client) -> None:
    variable = warmstart.Variable("w", "float32", (5, 4), store=False)
    with client.open(GOLDEN / "v2_tiles" / "t") as checkpoint:
        resolved = checkpoint.resolve({"x": variable}, [variable], sealed=True, alignment=64)
    assert not resolved["w"].any()


def resolve_names(client: warmstart.Client) -> None:
    with client.resolve(
        GOLDEN / "tf2_slots" / "s",
        {"layer/weights": "w"},
        {"w": ("float32", [2])},
        object_names=True,
    ) as resolved:
        assert resolved.tensor("w") == "again/.ATTRIBUTES/VARIABLE_VALUE"


def resolve_plan(client: warmstart.Client) -> None:
    with client.open(GOLDEN / "v2_tiles" / "t") as checkpoint:
        report = checkpoint.check({"x": "w"}, {"w": ("float32", [5, 4])})
    assert report.assigned == {"w": "x"}


def resolve_gather(client: warmstart.Client) -> None:
    rows = {"w": {0: [4, -1, 0]}}
    with client.open(GOLDEN / "v2_tiles" / "t") as checkpoint:
        resolved = checkpoint.resolve({"x": "w"}, {"w": ("float32", [3, 4])}, gather=rows)
    assert resolved["w"].shape == (3, 4)


def failure(client: warmstart.Client) -> None:
    v = warmstart.Variable("v", "float32", (2,), store=False)
    w = warmstart.Variable("w", "int32", (5, 4), store=False)
    checkpoint = client.open(GOLDEN / "v2_tiles" / "t")
    with pytest.raises(warmstart.WarmstartError) as raised:
        checkpoint.resolve([("y", v), ("x", w)], [v, w])
    checkpoint.close()
    reasons = [problem.reason for problem in raised.value.problems]
    assert reasons == ["TENSOR_NOT_FOUND", "DTYPE_MISMATCH"]


def refused(client: warmstart.Client) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.status(timeout=None)
    assert (raised.value.reason, raised.value.code) == ("QUOTA", "RESOURCE_EXHAUSTED")


def draining(client: warmstart.Client) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.status(timeout=None)
    assert (raised.value.reason, raised.value.code) == ("DRAINING", "UNAVAILABLE")


SCRIPTS: dict[str, Callable[[warmstart.Client], None]] = {
    "hello": hello,
    "health": health,
    "list": listing,
    "list-chunks": list_chunks,
    "close": close,
    "resolve-file": resolve_file,
    "resolve-path": resolve_path,
    "resolve-arena": resolve_arena,
    "resolve-names": resolve_names,
    "resolve-plan": resolve_plan,
    "resolve-gather": resolve_gather,
    "failure": failure,
    "refused": refused,
    "draining": draining,
}
# Messages that this client never sends, or ignores.
OTHERS = {
    "attach": "a checkpoint of two files, which it would send with the call",
    "bad-frame": "what is no frame",
    "describe": "asks for the protocol, which the package has",
    "health-draining": "asks about health again on a connection that was refused",
    "health-services": "asks about other services",
    "http1": "another protocol",
    "http2": "another protocol",
    "list-objects": "asks for the object graph, for which there is `object_names`",
    "unknown-method": "a method that does not exist",
}


def test_every_transcript_is_replayed_or_there_is_a_reason() -> None:
    names = {path.stem for path in TRANSCRIPTS.glob("*.txt")}
    assert names == SCRIPTS.keys() | OTHERS.keys()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_client_sends_the_bytes_of_the_transcript(name: str, impersonate: Any) -> None:
    impostor = impersonate(play(name))
    with warmstart.Client(impostor.socket, label="a label of another length") as client:
        SCRIPTS[name](client)
