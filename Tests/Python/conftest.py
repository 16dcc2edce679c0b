"""What all tests of the Python client share: a daemon, and checks that nothing is left behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons import REPOSITORY, Daemon, wait_until

try:
    import warmstart
except ImportError:
    # Not installed: the sources, here and in the processes that tests start.
    sources = str(REPOSITORY / "Sources" / "Python")
    sys.path.insert(0, sources)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (sources, os.environ.get("PYTHONPATH")))
    )
    import warmstart


@pytest.fixture(scope="session", autouse=True)
def daemon() -> Iterator[Daemon]:
    """The daemon of all tests; clients find it by the environment.

    Fails in the end if it died, complained, or kept descriptors of clients that are gone.
    """
    with tempfile.TemporaryDirectory(prefix="warmstart-") as directory:
        # Nothing stays warm for long, so that what is held in the end is held for a client.
        daemon = Daemon(Path(directory), "--linger", "1").start()
        before = os.environ.get("WARMSTART_SOCKET")
        os.environ["WARMSTART_SOCKET"] = daemon.socket
        try:
            # What a daemon opens for its first client stays open.
            with warmstart.Client() as client:
                assert client.is_serving()
            idle = daemon.descriptor_count()
            yield daemon
            warmstart.default_client().close()
            assert daemon.is_running(), daemon.log.read_text()
            assert wait_until(lambda: daemon.descriptor_count() <= idle), (
                f"{daemon.descriptor_count()} descriptors are open in the daemon, {idle} expected"
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
    return REPOSITORY / "Tests" / "Golden"
