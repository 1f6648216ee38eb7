"""What tests of several parts share."""

import os
from pathlib import Path

import pytest

# Kernels and other processes that tests start run the source that is tested.
SOURCE = str(Path(__file__).parents[1] / "src")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [SOURCE, os.environ.get("PYTHONPATH")])
)

# Before torch is loaded. The networks of the tests are small: two threads gain nothing,
# and where something else wants the cores as well, they wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SCREENS = {"browser", "make_napari_viewer", "qapp"}
"""Fixtures that open a window or a browser."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks for a screen is slow."""
    for item in items:
        if SCREENS & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time: only a power cut could tell."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
