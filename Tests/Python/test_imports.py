"""What the package needs, and what it leaves alone."""

from __future__ import annotations

from memory import in_fresh_process


def test_no_framework_is_imported_with_the_package() -> None:
    imported = in_fresh_process(
        """
        import json, sys
        import warmstart

        frameworks = ("torch", "jax", "jaxlib", "tensorflow", "tqdm", "IPython")
        print(json.dumps([name for name in frameworks if name in sys.modules]))
        """
    )
    assert imported == []
