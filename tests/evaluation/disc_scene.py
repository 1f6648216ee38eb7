"""A data set of discs, each of a gray of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(folder: Path, name: str, circles: list[tuple[int, int, int]]) -> None:
    rows, columns = np.mgrid[:200, :200]
    labels = np.zeros((200, 200), dtype=np.uint16)
    for index, (row, column, radius) in enumerate(circles, start=1):
        labels[np.hypot(rows - row, columns - column) <= radius] = index
    # Each disc has a gray of its own, by which the stand-in model knows it.
    pixels = np.where(labels > 0, 60 + 40 * labels, 0).astype(np.uint8)
    for kind, array in (("images", pixels), ("labels", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / kind / f"{name}.png")
