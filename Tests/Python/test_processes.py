"""Threads, forks, interrupts and deadlines, and a daemon that comes and goes."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart import _array, _connecting
from warmstart._deadline import Deadline
from warmstart._protocol import message

import bundles
from daemons import Daemon, wait_until
from impostor import Peer, method, opened

pytestmark = pytest.mark.usefixtures("patience")

VALUES = {f"layer_{at}/kernel": bundles.floats(100 * at, (16, 16)) for at in range(8)}
VARIABLES = {name: ("float32", [16, 16]) for name in VALUES}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.write(tmp_path_factory.mktemp("model") / "model", VALUES)


def is_right(arrays: Any) -> bool:
    return arrays.keys() == VALUES.keys() and all(
        np.array_equal(arrays[name], value) for name, value in VALUES.items()
    )


def leases(client: warmstart.Client) -> int:
    count: int = client.status().lease_count
    return count


def settles(condition: Callable[[], bool]) -> bool:
    return wait_until(condition, 20)


def in_child(run: Callable[[], bool]) -> bool:
    """Runs a function in a forked child that has a minute; returns whether it returned true."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(30)
            status = 0 if run() else 2
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


# Leases


def test_leases_end_with_close_and_with_the_last_reference(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        for end in (
            lambda checkpoint: checkpoint.close(),
            lambda checkpoint: checkpoint.__exit__(),
            lambda checkpoint: None,
        ):
            checkpoint = client.open(model)
            assert leases(client) == 1
            array = checkpoint.array("layer_1/kernel")
            end(checkpoint)
            del checkpoint
            gc.collect()
            assert leases(client) == 0
            assert array[0, 0] == 100
        resolved = client.resolve(model, {"/": "/"}, VARIABLES)
        assert leases(client) == 1
        resolved.close()
        assert leases(client) == 0
        assert is_right(resolved.arrays())
        with pytest.raises(warmstart.WarmstartError):
            client.resolve(model, {"/": "/"}, {"layer_0/kernel": ("float32", [1])})
        gc.collect()
        assert leases(client) == 0
        kept = client.open(model)
    with warmstart.Client(own_daemon.socket) as other:
        assert settles(lambda: leases(other) == 0)
    kept.close()


def test_all_leases_of_a_connection_are_given_back_at_once(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        for _ in range(5):
            # As many as a connection may have. The client does not read the replies to Close.
            checkpoints = [client.open(model) for _ in range(64)]
            assert leases(client) == 64
            while checkpoints:
                checkpoints.pop().close()
        assert leases(client) == 0
        assert is_right(client.open(model).arrays())


def test_a_daemon_that_does_not_read_delays_no_close(own_daemon: Daemon, model: Path) -> None:
    client = warmstart.Client(own_daemon.socket)
    checkpoints = [client.open(model) for _ in range(64)]
    with own_daemon.paused():
        while checkpoints:
            checkpoints.pop().close()
    assert is_right(client.open(model).arrays())
    gc.collect()
    assert settles(lambda: leases(client) == 0)
    client.close()


# Threads and forks


def test_sixteen_threads_share_a_client(client: warmstart.Client, model: Path) -> None:
    wrong: list[Any] = []
    shared = client.open(model)

    def work(number: int) -> None:
        try:
            for step in range(6):
                if (number + step) % 3 == 0:
                    resolved = client.resolve(model, {"/": "/"}, VARIABLES)
                    found = resolved.arrays()
                elif (number + step) % 3 == 1:
                    found = shared.arrays(sealed=step % 2 == 0)
                else:
                    with client.open(model) as checkpoint:
                        found = checkpoint.arrays(writable=True)
                if not is_right(found):
                    wrong.append(found)
        except BaseException as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_uses_what_its_parent_opened(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(model)
        resolved = checkpoint.resolve({"/": "/"}, VARIABLES)
        mine = client.status().clients
        assert [status.lease_count for status in mine] == [1]
        calls = mine[0].call_count

        def child() -> bool:
            assert is_right(resolved.arrays())
            assert is_right(checkpoint.arrays())
            assert is_right(client.resolve(model, {"/": "/"}, VARIABLES))
            checkpoint.close()
            return True

        assert in_child(child)
        # The parent's connection is not the child's, nor is its lease.
        assert settles(lambda: len(client.status().clients) == 1)
        assert leases(client) == 1
        assert is_right(checkpoint.arrays())
        after = client.status().clients[0]
        assert after.process_id == os.getpid()
        assert after.call_count - calls < 100
        assert is_right(resolved)


def test_a_child_sends_nothing_on_its_parents_connection(model: Path, impersonate: Any) -> None:
    heard: list[str] = []

    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            heard.append(method(call))
            peer.reply(call.id, opened() if method(call) == "Open" else b"")

    impostor = impersonate(serve)
    client = warmstart.Client(impostor.socket)
    checkpoint = client.open(model)
    assert heard == ["Hello", "Open"]

    def child() -> bool:
        nonlocal checkpoint
        checkpoint.close()
        del checkpoint
        client.close()
        gc.collect()
        return True

    assert in_child(child)
    assert in_child(lambda: True)
    # A child that ends as Python's processes do, with all finalizers.
    script = os.fork()
    if script == 0:
        try:
            sys.exit(0)
        finally:
            gc.collect()
            os._exit(0)
    os.waitpid(script, 0)
    assert checkpoint.list_tensors() == {}
    assert heard == ["Hello", "Open", "List"]
    assert impostor.connections == 1
    checkpoint.close()
    client.close()


def test_a_child_that_is_forked_amid_calls_of_threads_can_call(
    own_daemon: Daemon, model: Path
) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(model)
        has_ended = threading.Event()

        def work() -> None:
            while not has_ended.is_set():
                assert is_right(checkpoint.arrays())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                assert in_child(lambda: is_right(checkpoint.arrays()))
        finally:
            has_ended.set()
            for thread in threads:
                thread.join()
        checkpoint.close()
        gc.collect()
        assert settles(lambda: leases(client) == 0)


def test_a_child_of_a_thread_that_uses_files_can_use_and_close_them(
    client: warmstart.Client, model: Path
) -> None:
    checkpoint = client.open(model)
    files = checkpoint._files
    count = len(os.listdir("/proc/self/fd"))

    def child() -> bool:
        assert is_right(checkpoint.arrays())
        client.close()
        checkpoint.close()
        gc.collect()
        return len(os.listdir("/proc/self/fd")) == count - 3

    # As if another thread held the lock; the child has no other threads.
    with checkpoint.using(), files._lock:
        assert in_child(child)
    checkpoint.close()


# Interrupts and deadlines


@contextlib.contextmanager
def interrupting(seconds: float) -> Iterator[None]:
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    patience, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, patience)


def test_an_interrupted_client_is_usable(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(model)
        with own_daemon.paused():
            for call in (
                checkpoint.list_tensors,
                checkpoint.arrays,
                lambda: client.open(model),
                lambda: client.status(timeout=None),
            ):
                with pytest.raises(KeyboardInterrupt), interrupting(0.05):
                    call()
        assert is_right(checkpoint.arrays())
        checkpoint.close()
        gc.collect()
        assert settles(lambda: leases(client) == 0)


# An interrupt before the next line loses the result of a system call.
@pytest.mark.may_leak
def test_a_client_that_is_interrupted_anywhere_is_usable(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(model)
        start = time.monotonic()
        assert is_right(checkpoint.arrays())
        took = time.monotonic() - start
        for step in range(60):
            try:
                with interrupting(took * (step + 1) / 40):
                    assert is_right(checkpoint.arrays())
            except KeyboardInterrupt:
                pass
        assert is_right(checkpoint.arrays())
        checkpoint.close()


def test_a_call_to_a_silent_server_ends_at_the_deadline(model: Path, impersonate: Any) -> None:
    def serve(peer: Peer) -> None:
        while peer.call() is not None:
            pass

    client = warmstart.Client(impersonate(serve).socket)
    calls: list[Callable[[], Any]] = [
        lambda: client.open(model, timeout=0.05),
        lambda: client.resolve(model, {"/": "/"}, VARIABLES, timeout=0.05),
        lambda: client.list_variables(model, timeout=0.05),
        lambda: client.status(timeout=0.05),
        lambda: client.is_serving(timeout=0.05),
    ]
    for call in calls:
        with pytest.raises(warmstart.WarmstartError) as raised:
            call()
        assert (raised.value.reason, raised.value.code) == ("DEADLINE", "DEADLINE_EXCEEDED")
    client.close()


def test_a_call_with_endless_replies_ends_at_the_deadline(model: Path, impersonate: Any) -> None:
    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            if method(call) == "Resolve":
                nothing = message("ResolveReply")(unused_tensor_count=1)
                while True:
                    peer.reply(call.id, nothing, more=True)
            peer.reply(call.id, opened() if method(call) == "Open" else b"")

    client = warmstart.Client(impersonate(serve).socket)
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(model, {"/": "/"}, VARIABLES, timeout=0.2)
    assert raised.value.reason == "DEADLINE"
    client.close()


def test_a_deadline_ends_the_wait_for_another_threads_call(model: Path, impersonate: Any) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            if method(call) == "Status":
                has_begun.set()
                may_end.wait(60)
            peer.reply(call.id)

    client = warmstart.Client(impersonate(serve).socket)
    other = threading.Thread(target=client.status, kwargs={"timeout": None})
    other.start()
    assert has_begun.wait(60)
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.open(model, timeout=0.05)
    assert raised.value.reason == "DEADLINE"
    may_end.set()
    other.join()
    client.close()


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_an_impossible_timeout_is_refused(
    timeout: float, client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(ValueError, match="timeout"):
        client.open(model, timeout=timeout)


@pytest.mark.parametrize("timeout", [1e6, 1e12, 1e300, float("inf")])
def test_a_long_timeout_is_a_timeout(timeout: float, client: warmstart.Client, model: Path) -> None:
    with client.open(model, timeout=timeout) as checkpoint:
        assert is_right(checkpoint.arrays(timeout=timeout))
    assert client.is_serving(timeout=timeout)


def test_no_time_at_all_is_a_deadline(client: warmstart.Client, model: Path) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.open(model, timeout=0)
    assert raised.value.reason == "DEADLINE"


# After a call


def test_a_call_within_a_call_is_refused(client: warmstart.Client, model: Path) -> None:
    seen: list[str] = []

    def call(checkpoint: warmstart.Checkpoint) -> None:
        calls: list[Callable[[], Any]] = [checkpoint.list_tensors, client.close, client.status]
        for within in calls:
            with pytest.raises(RuntimeError, match="in a call of this client already"):
                within()
            seen.append("refused")
        # That gives the lease back when the call has ended.
        checkpoint.close()

    with client.open(model) as checkpoint:
        checkpoint.call(
            "List",
            message("ListRequest")(),
            (),
            Deadline(None),
            lambda: None,
            lambda *_: call(checkpoint),
        )
    assert seen == ["refused"] * 3
    assert client.is_serving()


def test_a_checkpoint_collected_during_a_call_is_closed_after_it(
    own_daemon: Daemon, model: Path
) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        kept = client.open(model)
        for _ in range(5):
            cycle: list[Any] = [client.open(model)]
            cycle.append(cycle)
            del cycle
            thresholds = gc.get_threshold()
            gc.set_threshold(1)
            try:
                assert is_right(kept.arrays())
            finally:
                gc.set_threshold(*thresholds)
        gc.collect()
        assert leases(client) == 1
        kept.close()


def test_a_failed_call_keeps_no_lease(model: Path, impersonate: Any) -> None:
    handles: list[int] = []

    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            request = message("ListRequest").FromString(call.request)
            if method(call) != "Hello":
                handles.append(request.checkpoint.handle)
            if method(call) == "Resolve":
                # Like the daemon, which gives back the lease of a failed call.
                reply = message("ResolveReply")(checkpoint=opened(5))
                peer.reply(call.id, reply, more=True)
                peer.fail(call.id, 8, "it failed", ("google.rpc.RetryInfo", b""))
            else:
                peer.reply(call.id, opened() if method(call) == "Open" else b"")

    client = warmstart.Client(impersonate(serve).socket)
    checkpoint = client.open(model)
    client.close()
    with pytest.raises(warmstart.WarmstartError, match="it failed"):
        checkpoint.resolve({"/": "/"}, VARIABLES)
    checkpoint.list_tensors()
    # Once to open it, some tries, and the list; none uses a handle that was given back.
    assert len(handles) > 3 and set(handles) == {0}
    checkpoint.close()
    client.close()


def test_a_request_that_is_too_long_is_refused(client: warmstart.Client, model: Path) -> None:
    checkpoint = client.open(model)
    variables = {f"{at}{'x' * (1 << 20)}": ("float32", [1]) for at in range(17)}
    with pytest.raises(warmstart.WarmstartError) as raised:
        checkpoint.resolve({"/": "/"}, variables)
    assert raised.value.reason == "INVALID_REQUEST"
    assert "16777216" in raised.value.message
    assert is_right(checkpoint.arrays())
    checkpoint.close()


def test_a_relative_path_keeps_its_meaning(
    client: warmstart.Client, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    checkpoint = client.open(model.name)
    monkeypatch.chdir(tmp_path)
    arrays = checkpoint.arrays()
    _array._opened.clear()
    assert is_right(pickle.loads(pickle.dumps(arrays)))
    checkpoint.close()


def test_a_process_ends_without_output(model: Path) -> None:
    script = """if True:
        import pickle, sys, warmstart
        checkpoint = warmstart.open(sys.argv[1])
        resolved = warmstart.resolve(sys.argv[1], {"/": "/"}, {"layer_1/kernel": ("float32", None)})
        arrays = checkpoint.arrays(sealed=True)
        restored = pickle.loads(pickle.dumps(arrays))
        other = warmstart.Client()
        kept = [other.open(sys.argv[1])]
        kept.append(kept)
    """
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", script, str(model)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert (ended.returncode, ended.stdout) == (0, b"")


# Limits of this process


def test_an_error_reports_that_no_descriptors_are_left(own_daemon: Daemon, model: Path) -> None:
    client = warmstart.Client(own_daemon.socket)
    checkpoint = client.open(model)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for room in (0, 1):
            while room and taken:
                os.close(taken.pop())
                room -= 1
            with pytest.raises(warmstart.WarmstartError) as raised:
                checkpoint.arrays(sealed=True)
            assert raised.value.reason in ("SYSTEM", "CONNECTION")
            assert "files open" in raised.value.message or "open files" in raised.value.message
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.open(model)
        assert raised.value.reason in ("SYSTEM", "CONNECTION")
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert is_right(checkpoint.arrays(sealed=True))
    checkpoint.close()
    client.close()


# A daemon that comes and goes


@pytest.mark.parametrize("end", [Daemon.stop, Daemon.kill])
def test_a_client_outlives_its_daemon(
    end: Callable[[Daemon], int], own_daemon: Daemon, model: Path
) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(model)
        resolved = checkpoint.resolve({"/": "/"}, VARIABLES, sealed=True)
        for _ in range(3):
            end(own_daemon)
            assert is_right(resolved.arrays())
            own_daemon.start()
            assert is_right(checkpoint.arrays())
            assert leases(client) == 1
        checkpoint.close()
        assert leases(client) == 0


def test_a_checkpoint_that_is_changed_while_the_daemon_is_away_is_noticed(
    own_daemon: Daemon, tmp_path: Path
) -> None:
    path = bundles.write(tmp_path / "model", VALUES)
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(path)
        own_daemon.stop()
        changed = {name: value + 1 for name, value in VALUES.items()}
        for file in tmp_path.glob("model.*"):
            os.utime(file, (1, 1))
        bundles.write(path, changed)
        own_daemon.start()
        for _ in range(2):
            with pytest.raises(warmstart.WarmstartError) as raised:
                checkpoint.arrays()
            assert raised.value.reason == "CHECKPOINT_CHANGED"
        checkpoint.close()
        gc.collect()
        assert settles(lambda: leases(client) == 0)


def test_no_daemon_is_an_error_that_says_how_to_start_one(tmp_path: Path, model: Path) -> None:
    nowhere = str(tmp_path / "none")
    with warmstart.Client(nowhere) as client, pytest.raises(warmstart.WarmstartError) as raised:
        client.open(model)
    assert raised.value.reason == "CONNECTION"
    assert f"warmstartd --socket {nowhere}" in raised.value.message


def test_a_socket_that_is_replaced_is_found(own_daemon: Daemon, model: Path) -> None:
    away = own_daemon.socket + ".away"
    own_daemon.kill()

    def replace() -> None:
        # First the old socket exists, then none, then a new one.
        time.sleep(0.1)
        os.rename(own_daemon.socket, away)
        time.sleep(0.3)
        own_daemon.start()

    replacer = threading.Thread(target=replace)
    replacer.start()
    with warmstart.Client(own_daemon.socket) as client:
        assert is_right(client.open(model).arrays())
    replacer.join()


def test_a_path_that_is_no_socket_is_reported(tmp_path: Path, model: Path) -> None:
    with warmstart.Client(tmp_path) as client, pytest.raises(warmstart.WarmstartError) as raised:
        client.open(model)
    assert raised.value.reason == "CONNECTION"
    assert raised.value.message == f"{tmp_path} is not a socket: expected the socket of a daemon"


def test_a_user_who_may_not_connect_learns_how_to_join_the_group() -> None:
    system = "/run/warmstart/warmstart.sock"
    error = _connecting._cannot_connect(system, PermissionError(errno.EACCES, "no"))
    assert error.reason == "NOT_ALLOWED"
    assert 'sudo usermod -aG warmstart-clients "$USER"' in error.message


def test_a_client_waits_for_a_full_backlog(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        # One connection waits to be accepted, and the queue is full.
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(path)

        def accept() -> None:
            time.sleep(0.3)
            for _ in range(2):
                peer, _ = listener.accept()
                with contextlib.closing(Peer(peer)) as accepted:
                    while (call := accepted.call()) is not None:
                        status = message("grpc.health.v1.HealthCheckResponse")(status=1)
                        accepted.reply(call.id, b"" if method(call) == "Hello" else status)
                        if method(call) != "Hello":
                            break

        waiting.close()
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        with warmstart.Client(path) as client:
            assert client.is_serving(timeout=20)
        acceptor.join()


TRAINER = """if True:
    import sys, warmstart
    import numpy as np
    variables = {f"layer_{at}/kernel": ("float32", [16, 16]) for at in range(8)}
    client = warmstart.Client()
    client.is_serving(timeout=None)
    print("ready", flush=True)
    for step in range(15):
        if sys.argv[2] == "again":
            client.close()
        for sealed in (False, True):
            resolved = client.resolve(sys.argv[1], {"/": "/"}, variables, sealed=sealed)
            for at in range(8):
                expected = (100 * at + np.arange(256)).astype("float32").reshape(16, 16)
                assert np.array_equal(resolved[f"layer_{at}/kernel"], expected)
    print("right")
"""


# A daemon that was started by hand removes its socket when it stops, and a client that never
# connected then sees no daemon.
@pytest.mark.parametrize(("end", "how"), [(Daemon.stop, "once"), (Daemon.kill, "again")])
def test_trainers_get_their_bytes_while_the_daemon_comes_and_goes(
    end: Callable[[Daemon], int], how: str, own_daemon: Daemon, model: Path
) -> None:
    environment = {**os.environ, "WARMSTART_SOCKET": own_daemon.socket}
    trainers = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINER, str(model), how],
            bufsize=0,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    for at, trainer in enumerate(trainers):
        # Some of those that may start in the middle of it.
        if trainer.stdout and (how == "once" or at < 3):
            assert trainer.stdout.readline() == b"ready\n"
    # A call is repeated three times: on the slowest machine all may meet the same one.
    for _ in range(3):
        time.sleep(0.1)
        end(own_daemon)
        own_daemon.start()
    results = [trainer.communicate() for trainer in trainers]
    assert [out[-6:] for out, _ in results] == [b"right\n"] * 8, results
    with warmstart.Client(own_daemon.socket) as client:
        assert settles(lambda: leases(client) == 0)


def test_a_missing_daemon_is_reported_at_the_deadline(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        client.open(model)
        own_daemon.kill()
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.open(model, timeout=0.3)
    assert raised.value.reason == "CONNECTION"
    assert f"no daemon listens at {own_daemon.socket}" in raised.value.message
