"""What tests of several parts share."""

import os

import pytest


@pytest.fixture
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time: only a power cut could tell."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
