"""An image of squares, a model whose answers a reader can predict, and what is seen."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.model.window_model import WindowMask
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt
from napari_sam.session import Session

SQUARES = {1: Box(8, 8, 24, 24), 2: Box(8, 40, 24, 56), 3: Box(40, 8, 56, 24)}
CLICK = Click(16, 16)
OTHER = Click(16, 48)
FAR = Click(60, 60, positive=False)


def pixels() -> NDArray[np.uint8]:
    """Two planes of squares, each with a gray of its own."""
    stack = np.zeros((2, 64, 64), dtype=np.uint8)
    for value, box in SQUARES.items():
        stack[:, *box.slices] = 60 * value
    return stack


class SquaresModel:
    """Answers with squares around the last positive click, the first one best.

    A click gets three of different sizes, anything else one; each further prompt, and
    each mask prompt that comes along, makes them a pixel wider, so that an answer
    tells how it came about.
    """

    window_size = 64
    fingerprint = "squares"

    def __init__(self) -> None:
        self.encodes = 0
        self.shapes: list[tuple[int, ...]] = []
        self.asked: list[Sequence[Prompt]] = []
        self.broken = False

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> tuple[int, int]:
        self.encodes += 1
        self.shapes.append(pixels_hwc.shape[:2])
        return pixels_hwc.shape[0], pixels_hwc.shape[1]

    def predict(
        self, embedding: tuple[int, int], prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        if self.broken:
            raise ImageReadError("A chunk is damaged.")
        self.asked.append(prompts)
        spots = [p for p in prompts if isinstance(p, Click) and p.positive]
        center = spots[-1].pixel if spots else middle_of(prompts)
        hinted = sum(
            int(p.mask.sum()) % 5 for p in prompts if isinstance(p, MaskPrompt)
        )
        sizes = (4, 6, 8) if len(prompts) == 1 and spots else (5,)
        return [
            square(embedding, center, size + len(prompts) + hinted, 0.9 - 0.1 * index)
            for index, size in enumerate(sizes)
        ]


def middle_of(prompts: Sequence[Prompt]) -> tuple[int, int]:
    (box,) = (p.box for p in prompts if isinstance(p, BoxPrompt))
    y, x = box.center
    return int(y), int(x)


def square(
    shape: tuple[int, int], center: tuple[int, int], half: int, score: float
) -> WindowMask:
    logits = np.full(shape, -5, dtype=np.float32)
    y, x = center
    logits[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = 5
    return WindowMask(logits > 0, score, logits)


def shown(session: Session) -> list[tuple[Box, list[int]]]:
    """All that is seen of the candidates, as plain values."""
    return [(c.box, np.flatnonzero(c.mask).tolist()) for c in session.candidates]


def on_disk(folder: Path) -> NDArray[np.integer]:
    """Both planes of the labels, read by another than the session."""
    with LabelStore.open(folder, mode="r") as store:
        return np.stack([store.read((z,), Box.of_shape((64, 64))) for z in (0, 1)])


def events(session: Session) -> list[str]:
    """Names of the signals as they come."""
    heard: list[str] = []
    for name in ("prompts", "candidates", "labels", "plane"):
        signal = getattr(session, f"{name}_changed")
        signal.connect(lambda *_, name=name: heard.append(name), check_nargs=False)
    return heard


def shown_after(session: Session, prompt: Prompt) -> list[tuple[Box, list[int]]]:
    session.add(prompt)
    return shown(session)


def unchanged(session: Session, step: Callable[[], object], error: type) -> None:
    state = (session.plane, session.prompts, session.chosen, shown(session))
    heard = events(session)
    with pytest.raises(error):
        step()
    assert heard == []
    assert (session.plane, session.prompts, session.chosen, shown(session)) == state
