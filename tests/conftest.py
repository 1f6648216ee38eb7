"""What tests of several parts share."""

import os

# Before torch is loaded. The networks of the tests are small: two threads gain nothing,
# and where something else wants the cores as well, they wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

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
