"""Servers that answer wrongly: every answer ends in an error that says so, and nothing else does."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart import _client
from warmstart._protocol import column, message

import bundles
from impostor import SEALED, Peer, frame, method, opened, sealed_memory

pytestmark = pytest.mark.usefixtures("patience")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are repeated once, without a pause."""
    monkeypatch.setattr(_client, "_REPEATS", 1)


REASONS = {"CONNECTION", "SYSTEM"}
BYTE_COUNT = 4096


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", {"v": bundles.floats(0, (1024,))})


def memory(byte_count: int = BYTE_COUNT, seals: int = SEALED) -> int:
    """An arena as the daemon makes it, or nearly."""
    return sealed_memory(bytes(byte_count), seals)


def answer(
    *,
    regions: Any = ({"kind": 2, "byte_count": BYTE_COUNT},),
    variables: Any = (0,),
    names: Any = None,
    dtypes: Any = (1,),
    ranks: Any = (1,),
    lengths: Any = (1024,),
    handle_regions: Any = (0,),
    offsets: Any = (0,),
    byte_counts: Any = (BYTE_COUNT,),
    **more: Any,
) -> Any:
    """A `ResolveReply` that is right where it is not made wrong."""
    reply = message("ResolveReply")()
    for position, region in enumerate(regions):
        reply.regions.add(id=position + 1, **region)
    handles = reply.handles
    handles.variables = column(variables, "<u4")
    names = [b""] * len(variables) if names is None else names
    handles.tensors.text = b"".join(names)
    handles.tensors.lengths = column([len(name) for name in names], "<u4")
    handles.dtypes = column(dtypes, "<u4")
    handles.ranks = column(ranks, "<i4")
    handles.lengths = column(lengths, "<u8")
    handles.regions = column(handle_regions, "<u4")
    handles.offsets = column(offsets, "<u8")
    handles.byte_counts = column(byte_counts, "<u8")
    for key, value in more.items():
        if key in ("strided", "sliced"):
            setattr(handles, key, column(value, "<u4"))
        elif key in ("strides", "starts"):
            setattr(handles, key, column(value, "<u8"))
        else:
            setattr(reply, key, value)
    return reply


Played = Callable[[Peer, int], None]


def play(resolve: Played) -> Callable[[Peer], None]:
    """A server that answers all calls well, except one to resolve a map."""

    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            kind = method(call)
            if kind == "Hello":
                peer.reply(call.id, message("HelloReply")(version=1))
            elif kind == "Open":
                peer.reply(call.id, opened())
            elif kind == "Resolve":
                resolve(peer, call.id)
            else:
                peer.reply(call.id)

    return serve


def says(reply: Any, descriptors: Callable[[], int] | None = memory, **fields: Any) -> Played:
    """Answers a call with one reply, and with a descriptor."""

    def respond(peer: Peer, call: int) -> None:
        sent = [] if descriptors is None else [descriptors()]
        try:
            peer.reply(call, reply, sent, **fields)
        finally:
            for descriptor in sent:
                os.close(descriptor)

    return respond


def regular_file() -> int:
    with tempfile.TemporaryFile() as file:
        file.truncate(BYTE_COUNT)
        return os.dup(file.fileno())


def pipe() -> int:
    end, other = os.pipe()
    os.close(other)
    return end


def lost(data: bytes) -> Played:
    """Sends bytes that are no reply, and hangs up."""

    def respond(peer: Peer, call: int) -> None:
        peer.send(data)
        raise ConnectionError

    return respond


def endless(reply: Any) -> Played:
    def respond(peer: Peer, call: int) -> None:
        while True:
            peer.reply(call, reply, more=True)

    return respond


def many_descriptors(count: int, said: int) -> Played:
    def respond(peer: Peer, call: int) -> None:
        sent = [memory() for _ in range(count)]
        try:
            peer.reply(call, answer(), sent, descriptor_count=said)
        finally:
            for descriptor in sent:
                os.close(descriptor)

    return respond


def failing(kind: str, value: bytes) -> Played:
    """Fails a call with a detail of a type."""
    return lambda peer, call: peer.fail(call, 13, "odd", (kind, value))


HUGE = 2**64 - 1
WRONG: dict[str, Played] = {
    # Frames.
    "the end": lost(b""),
    "half a prefix": lost(b"\0\0"),
    "a prefix without its frame": lost(frame(bytes(100))[:50]),
    "a frame longer than any": lost(struct.pack(">BI", 0, 0xFFFFFFFF)),
    "a frame with flags": lost(frame(b"", 1)),
    "an empty frame": lost(frame(b"")),
    "a frame that is no message": lost(frame(b"\xff" * 20)),
    "a reply to another call": lambda peer, call: peer.reply(call + 1, answer(regions=[])),
    "a response that is no message": says(b"\xff" * 20),
    "an endless response of nothing": endless(b""),
    "an endless response of one handle": endless(
        answer(regions=[{"kind": 1, "byte_count": BYTE_COUNT, "file": 1}])
    ),
    # Descriptors.
    "a missing descriptor": says(answer(), None),
    "a descriptor that does not come": says(answer(), None, descriptor_count=1),
    "a descriptor too many": many_descriptors(2, 1),
    "descriptors that are not counted": many_descriptors(3, 0),
    "more descriptors than a frame may have": many_descriptors(200, 200),
    # Regions.
    "a region of no kind": says(answer(regions=[{"kind": 0, "byte_count": BYTE_COUNT}])),
    "a region of unknown kind": says(answer(regions=[{"kind": 9, "byte_count": BYTE_COUNT}])),
    "a region of no file": says(
        answer(regions=[{"kind": 1, "byte_count": BYTE_COUNT, "file": 2}]), None
    ),
    "a region longer than the client's file": says(
        answer(regions=[{"kind": 1, "byte_count": 10 * BYTE_COUNT, "file": 1}]), None
    ),
    "a region as long as all memory": says(answer(regions=[{"kind": 2, "byte_count": HUGE}])),
    "an arena that is shorter than said": says(answer(), lambda: memory(BYTE_COUNT // 2)),
    "an arena that is not sealed": says(answer(), lambda: memory(seals=0)),
    "an arena that can be written": says(answer(), lambda: memory(seals=SEALED & ~0x8)),
    "an arena that can shrink": says(answer(), lambda: memory(seals=SEALED & ~0x2)),
    "an arena that is a file": says(answer(), regular_file),
    "an arena that is a pipe": says(answer(), pipe),
    "an arena of another position": says(
        answer(regions=[{"kind": 2, "byte_count": BYTE_COUNT, "descriptor": 1}])
    ),
    # Handles.
    "a handle of no variable": says(answer(variables=[1])),
    "two handles of one variable": says(
        answer(
            variables=[0, 0],
            dtypes=[1, 1],
            ranks=[1, 1],
            lengths=[1024, 1024],
            handle_regions=[0, 0],
            offsets=[0, 0],
            byte_counts=[BYTE_COUNT, BYTE_COUNT],
        )
    ),
    "fewer dtypes than handles": says(answer(dtypes=[])),
    "more regions than handles": says(answer(handle_regions=[0, 0])),
    "fewer names than handles": says(answer(names=[])),
    "another dtype": says(answer(dtypes=[3])),
    "an unknown dtype": says(answer(dtypes=[99])),
    "a dtype without bytes": says(answer(dtypes=[20])),
    "another rank": says(answer(ranks=[2], lengths=[32, 32])),
    "another shape": says(answer(lengths=[512], byte_counts=[2048])),
    "a negative rank": says(answer(ranks=[-1], lengths=[])),
    "a rank of more axes than there are": says(answer(ranks=[2**31 - 1])),
    "fewer axes than the rank": says(answer(lengths=[])),
    "more axes than the rank": says(answer(lengths=[1024, 1])),
    "fewer bytes than the shape": says(answer(byte_counts=[4092])),
    "more bytes than the shape": says(answer(byte_counts=[4100])),
    "a region that was not named": says(answer(handle_regions=[1])),
    "an offset after the region": says(answer(offsets=[BYTE_COUNT + 1])),
    "an offset that leaves no room": says(answer(offsets=[4])),
    "an offset that overflows": says(answer(offsets=[HUGE])),
    "an offset whose end overflows": says(answer(offsets=[HUGE - BYTE_COUNT + 1])),
    # Strides and slices.
    "strides of no handle": says(answer(strided=[1], strides=[4])),
    "fewer strides than axes": says(answer(strided=[0], strides=[])),
    "more strides than axes": says(answer(strided=[0], strides=[4, 4])),
    "strides beyond the region": says(answer(strided=[0], strides=[8])),
    "strides that overflow": says(answer(strided=[0], strides=[HUGE])),
    "strides that nearly overflow": says(answer(strided=[0], strides=[2**53])),
    "fewer starts than axes": says(answer(sliced=[0], starts=[])),
    # The report.
    "an uncovered variable of no position": says(answer(uncovered=column([7], "<u4"))),
    "an unused pair of no position": says(answer(unused=column([7], "<u4"))),
    "a column that is cut": says(answer(unused=b"\0\0\0")),
    # Failures.
    "a problem that is no message": failing("warmstart.v1.Problems", b"\xff"),
    "a reason that is no message": failing("google.rpc.ErrorInfo", b"\xff"),
    "a delay that is no message": failing("google.rpc.RetryInfo", b"\xff"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_is_an_error(wrong: str, checkpoint: Path, impersonate: Any) -> None:
    impostor = impersonate(play(WRONG[wrong]))
    with warmstart.Client(impostor.socket) as client:
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", [1024])})
        assert raised.value.reason in REASONS
        # The client still works.
        assert client.list_variables(checkpoint) == []


def test_a_delay_before_now_is_no_delay(checkpoint: Path, impersonate: Any) -> None:
    delay = message("google.rpc.RetryInfo")()
    delay.retry_delay.seconds = -(2**40)
    respond = failing("google.rpc.RetryInfo", delay.SerializeToString())
    impostor = impersonate(play(respond))
    client = warmstart.Client(impostor.socket)
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", [1024])})
    client.close()
    assert raised.value.retry_after == 0
    assert (raised.value.code, raised.value.message) == ("INTERNAL", "odd")


def test_a_right_answer_is_no_error(checkpoint: Path, impersonate: Any) -> None:
    impostor = impersonate(play(says(answer())))
    with warmstart.Client(impostor.socket) as client:
        resolved = client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", [1024])})
        assert not resolved["v"].any()


# If a variable's shape is unknown, only the answer has one.
WRONG_SHAPES: dict[str, Any] = {
    "an axis that overflows": answer(lengths=[HUGE]),
    "axes whose product overflows": answer(ranks=[2], lengths=[2**32, 2**32], byte_counts=[0]),
    "a product of nothing that overflows": answer(
        ranks=[3], lengths=[0, 2**63, 2**63], byte_counts=[0]
    ),
    "an axis of nothing that overflows": answer(ranks=[2], lengths=[0, HUGE], byte_counts=[0]),
    "axes of nothing without end": answer(ranks=[60], lengths=[0] + 59 * [2**63], byte_counts=[0]),
    "more axes than numpy has": answer(ranks=[70], lengths=70 * [1], byte_counts=[4]),
}


@pytest.mark.parametrize("wrong", WRONG_SHAPES)
@pytest.mark.filterwarnings("error")
def test_a_shape_that_no_array_has_is_an_error(
    wrong: str, checkpoint: Path, impersonate: Any
) -> None:
    impostor = impersonate(play(says(WRONG_SHAPES[wrong])))
    with (
        warmstart.Client(impostor.socket) as client,
        pytest.raises(warmstart.WarmstartError) as raised,
    ):
        resolved = client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", None)})
        resolved["v"]
    assert raised.value.reason in {*REASONS, "UNSUPPORTED"}


STRINGS = {
    "offsets that do not begin at 0": [8, 8],
    "offsets that descend": [0, HUGE],
    "offsets beyond the end": [0, 2**40],
    "offsets before the end": [0, 7],
}


@pytest.mark.parametrize("wrong", STRINGS)
def test_strings_of_wrong_offsets_are_an_error(
    wrong: str, checkpoint: Path, impersonate: Any
) -> None:
    def arena() -> int:
        return sealed_memory(np.array(STRINGS[wrong], "<u8").tobytes() + b"12345678")

    region = {"kind": 2, "byte_count": 24}
    reply = answer(regions=[region], dtypes=[7], lengths=[1], byte_counts=[24])
    impostor = impersonate(play(says(reply, arena)))
    with warmstart.Client(impostor.socket) as client:
        resolved = client.resolve(checkpoint, {"v": "v"}, {"v": ("string", [1])})
        with pytest.raises(warmstart.WarmstartError) as raised:
            resolved["v"]
    assert raised.value.reason == "CONNECTION"


def test_strings_with_strides_are_an_error(checkpoint: Path, impersonate: Any) -> None:
    region = {"kind": 2, "byte_count": 24}
    reply = answer(
        regions=[region], dtypes=[7], lengths=[1], byte_counts=[24], strided=[0], strides=[0]
    )
    impostor = impersonate(play(says(reply, lambda: memory(24))))
    with (
        warmstart.Client(impostor.socket) as client,
        pytest.raises(warmstart.WarmstartError) as raised,
    ):
        resolved = client.resolve(checkpoint, {"v": "v"}, {"v": ("string", [1])})
        resolved["v"]
    assert raised.value.reason == "CONNECTION"
