"""The examples in the documentation, as programs."""

from __future__ import annotations

import re
from pathlib import Path

from daemons import REPOSITORY

PAGE = REPOSITORY / "Sources" / "Server" / "Server.docc" / "Python.md"


def example(section: str, page: Path = PAGE) -> str:
    """The one program in Python below a heading of a page."""
    _, _, text = page.read_text().partition(f"\n## {section}\n")
    assert text, f"{page.name} has no section {section}"
    (program,) = re.findall(
        r"^```python\n(.*?)^```$", text.split("\n## ")[0], re.MULTILINE | re.DOTALL
    )
    return program
