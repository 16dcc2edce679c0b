"""What all tests of the Python client share: a daemon, and checks that nothing is left behind."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons import REPOSITORY, Daemon, wait_until

try:
    import warmstart
except ImportError:
    # Uses the sources instead of an installed package, here and in the processes that tests start.
    sources = str(REPOSITORY / "Sources" / "Python")
    sys.path.insert(0, sources)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (sources, os.environ.get("PYTHONPATH")))
    )
    import warmstart

from warmstart import _array

from impostor import Impostor, Peer


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "may_leak: descriptors are not counted")


@pytest.fixture(scope="session", autouse=True)
def daemon() -> Iterator[Daemon]:
    """The daemon of all tests; clients find it by the environment.

    The end fails if the daemon died, logged a problem, or kept descriptors of clients that left.
    """
    with tempfile.TemporaryDirectory(prefix="warmstart-") as directory:
        # Nothing stays warm for long, so that in the end everything held is held for a client.
        daemon = Daemon(Path(directory), "--linger", "1").start()
        before = os.environ.get("WARMSTART_SOCKET")
        os.environ["WARMSTART_SOCKET"] = daemon.socket
        try:
            # The files that a daemon opens for its first client stay open.
            with warmstart.Client() as client:
                assert client.is_serving()
            idle = daemon.descriptor_count()
            yield daemon
            warmstart.default_client().close()
            assert daemon.is_running(), daemon.log.read_text()
            assert wait_until(lambda: daemon.descriptor_count() <= idle), (
                f"the daemon has {daemon.descriptors()} open, {idle} are expected"
            )
        finally:
            if before is None:
                del os.environ["WARMSTART_SOCKET"]
            else:
                os.environ["WARMSTART_SOCKET"] = before
            status = daemon.stop() if daemon.is_running() else None
        assert status == 0, daemon.log.read_text()
        assert daemon.complaints() == []


@pytest.fixture
def own_daemon() -> Iterator[Daemon]:
    """A daemon of the test's own, which it may stop, kill and start again."""
    with tempfile.TemporaryDirectory(prefix="warmstart-") as directory:
        daemon = Daemon(Path(directory)).start()
        try:
            yield daemon
        finally:
            if daemon.is_running():
                daemon.stop()
        assert daemon.complaints() == []


@pytest.fixture
def client(daemon: Daemon) -> Iterator[warmstart.Client]:
    """A client of the test's own on the daemon of all tests."""
    with warmstart.Client(daemon.socket) as client:
        yield client


@pytest.fixture
def golden() -> Path:
    """The checkpoints that TensorFlow wrote."""
    return REPOSITORY / "Tests" / "Data" / "Golden"


@pytest.fixture
def impersonate(tmp_path: Path) -> Iterator[Callable[[Callable[[Peer], None]], Impostor]]:
    """Starts servers that play the daemon's part."""
    started: list[Impostor] = []

    def start(play: Callable[[Peer], None]) -> Impostor:
        directory = tmp_path / f"impostor-{len(started)}"
        directory.mkdir()
        started.append(Impostor(directory, play))
        return started[-1]

    yield start
    for impostor in started:
        impostor.close()


@pytest.fixture(autouse=True)
def descriptors_balanced(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves descriptors open, whatever fails in it."""
    before = _descriptor_count()
    yield
    if request.node.get_closest_marker("may_leak") or _descriptor_count() <= before:
        return
    # What is kept on purpose: the process's own client, and checkpoints of unpickled arrays. Before
    # Python 3.13, what is mapped keeps a descriptor.
    _array._opened.clear()
    request.node.funcargs.clear()
    warmstart.default_client().close()
    # Most garbage is young, and collecting all takes long.
    for generation in range(3):
        if _descriptor_count() <= before:
            return
        gc.collect(generation)
    after = _descriptor_count()
    assert after <= before, f"{after} descriptors are open, {before} were"


def _descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def patience() -> Iterator[None]:
    """Fails a test that hangs."""

    def stop(number: int, where: Any) -> None:
        raise AssertionError("the test hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
