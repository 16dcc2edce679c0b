"""The daemon's metrics, as a monitoring system reads them."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import warmstart
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as older_text

from daemons import REPOSITORY, Daemon, wait_until

GOLDEN = REPOSITORY / "Tests/Data/Golden/v2_plain_resource/model.ckpt-1000"


class Connection(http.client.HTTPConnection):
    """A connection over HTTP to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("warmstart", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


@pytest.fixture
def metrics_socket(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "metrics")
    daemon = Daemon(tmp_path, "--metrics-socket", path).start()
    try:
        with warmstart.Client(daemon.socket) as client, client.open(GOLDEN):
            yield path
    finally:
        assert daemon.stop() == 0


def get(path: str, accept: str) -> tuple[str, str]:
    connection = Connection(path)
    connection.request("GET", "/metrics", headers={"Accept": accept})
    answer = connection.getresponse()
    assert answer.status == 200
    text = answer.read().decode()
    connection.close()
    return answer.headers["Content-Type"], text


def test_prometheus_client_parses_the_metrics(metrics_socket: str) -> None:
    kind, text = get(metrics_socket, "application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in open_metrics(text)}
    assert families["warmstart_clients"].samples[0].value == 1
    assert families["warmstart_opens"].type == "counter"
    assert families["warmstart_charged_bytes"].unit == "bytes"
    (sample,) = families["warmstart_checkpoint_bytes"].samples
    assert sample.labels["path"] == str(GOLDEN)
    assert all(family.documentation for family in families.values())


def test_the_older_text_has_the_same_samples(metrics_socket: str) -> None:
    kind, text = get(metrics_socket, "text/plain")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    older = {family.name: family.type for family in older_text(text)}
    _, text = get(metrics_socket, "*/*")
    assert older == {family.name: family.type for family in open_metrics(text)}


def test_the_page_explains_each_metric(metrics_socket: str) -> None:
    page = (REPOSITORY / "Sources/Server/Server.docc/Metrics.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `warmstart_")]
    explained = {row[1].strip(" `"): row[2].strip() for row in rows}
    _, text = get(metrics_socket, "*/*")
    found = {}
    for family in open_metrics(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = family.unit or ("events" if family.type == "counter" else "")
    assert set(explained) == set(found)
    for name, unit in found.items():
        assert not unit or explained[name] == unit, name


@pytest.mark.parametrize("name", ["warmstart.rules.yml", "warmstart-dashboard.json"])
def test_examples_use_metrics_that_exist(metrics_socket: str, name: str) -> None:
    text = (REPOSITORY / "systemd/examples" / name).read_text()
    used = set(re.findall(r"\bwarmstart_\w+", text))
    _, text = get(metrics_socket, "*/*")
    found = {sample.name for family in open_metrics(text) for sample in family.samples}
    assert used
    assert used <= found


def test_connections_that_send_nothing_leave_the_others_alone(metrics_socket: str) -> None:
    silent = []
    for _ in range(8):
        silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        silent[-1].connect(metrics_socket)

    def is_answered() -> bool:
        connection = Connection(metrics_socket)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().status == 200
        except ConnectionError:
            return False
        finally:
            connection.close()

    # The daemon ends each within seconds.
    assert wait_until(is_answered)
    for one in silent:
        one.close()
