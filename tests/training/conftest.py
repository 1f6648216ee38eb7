from __future__ import annotations

import pytest

from napari_sam.model import build, tiny_vit


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `vit_t` of a thousandth of the weights; all that is else stays."""
    encoder = tiny_vit.TinyViT
    for name, value in {
        "DIMS": (8, 16, 20, 40),
        "DEPTHS": (1, 1, 1, 1),
        "HEADS": (1, 2, 2, 2),
        "CLASSES": 2,
    }.items():
        monkeypatch.setattr(tiny_vit, name, value)
    monkeypatch.setattr(build, "TinyViT", lambda size, out_chans: encoder(size, 32))
    decoder = {**build.PUBLISHED_DECODER, "channels": 32, "hidden": 32}
    monkeypatch.setattr(build, "PUBLISHED_DECODER", decoder)
