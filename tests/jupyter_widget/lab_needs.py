"""What the tests in a real browser need; where something is missing, they skip."""

from __future__ import annotations

import importlib.util
import subprocess
from shutil import which

import pytest


def find_chromium() -> str | None:
    """One that starts: Ubuntu has a program of this name that asks for a snap."""
    for place in (which("chromium"), which("chromium-browser")):
        if place is not None:
            asked = subprocess.run(
                [place, "--version"], capture_output=True, check=False
            )
            if asked.returncode == 0:
                return place
    return None


CHROMIUM = find_chromium()
MISSING = [
    name
    for name in ("jupyterlab", "ipykernel", "playwright", "anywidget")
    if importlib.util.find_spec(name) is None
]
if CHROMIUM is None:
    MISSING.append("chromium")

needs_browser = pytest.mark.skipif(
    bool(MISSING), reason=f"a browser test needs {', '.join(MISSING)}"
)
