"""The client as a whole."""

from __future__ import annotations

from pathlib import Path

import warmstart


def test_the_names_and_shapes_are_listed_sorted(client: warmstart.Client, golden: Path) -> None:
    listed = client.list_variables(golden / "v2_plain_ref" / "model.ckpt-1000")
    assert listed == sorted(listed)
    assert all(isinstance(shape, list) for _, shape in listed)


def test_a_client_that_was_closed_connects_again(client: warmstart.Client) -> None:
    assert client.is_serving()
    client.close()
    assert client.is_serving()
