"""Movies: cells that wander, grow and divide, with their lineage.

A cell keeps its id from the first frame that shows it to the last. Where one divides,
both daughters get new ids, from the next frame on. A cell that leaves the picture, or
is squeezed out by its neighbours, is gone for good: what comes in later is new. So a
track has no gaps, and `tracks_n4` is what a Cell Tracking Challenge file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.errors import SceneError
from napari_sam.scenes.camera import exposed, photographed
from napari_sam.scenes.components import SMALLEST_COMPONENT, largest_components
from napari_sam.scenes.nuclei import (
    Nucleus,
    Specimen,
    light_of,
    random_nucleus,
)
from napari_sam.scenes.options import (
    Scene,
    SceneKind,
    SceneOptions,
)
from napari_sam.scenes.phase import Optics, SpreadCell, grey_of, random_cell
from napari_sam.scenes.positions import lattice, scattered

DIVIDES_EVERY = 14.0  # frames between two divisions of a cell, on average
SPEED = 0.07  # object sizes a frame
ROUNDS_UP = 2  # frames before it divides, a cell shrinks and brightens
NEWBORN = 0.74  # radius of a daughter over that of its mother before it rounded up

Cell = Nucleus | SpreadCell


@dataclass(slots=True)
class _Living:
    """A cell over time."""

    cell: Cell
    velocity_yx: NDArray[np.float64]
    turn: float  # radians a frame
    divides_in: int  # frames
    radius: float  # what it grows to
    label: int = 0  # 0 until a frame shows it
    parent: int = 0


def make_movie(options: SceneOptions, frames: int) -> Scene:
    """Draw `frames` frames of nuclei or phase contrast, with tracks.

    Raises
    ------
    SceneError
        Another kind, or no frame.
    """
    if options.kind not in {SceneKind.NUCLEI, SceneKind.PHASE} or frames < 1:
        raise SceneError(
            "A movie needs kind nuclei or phase, and 1 frame or more; got kind "
            f"{options.kind} and {frames} frames."
        )
    rng = np.random.default_rng(options.seed)
    culture = _Culture(rng, options)
    expose = _camera(rng, options)
    pixels = np.zeros((frames, *options.shape_hw), np.uint16)
    labels = np.zeros((frames, *options.shape_hw), np.uint16)
    for frame in range(frames):
        if frame:
            culture.step()
        painted, pixels[frame] = expose([living.cell for living in culture.cells])
        labels[frame] = culture.named(largest_components(painted))
    return Scene(pixels, labels, _tracks(labels, culture.parents))


def _camera(
    rng: Generator, options: SceneOptions
) -> Callable[[Sequence[Cell]], tuple[NDArray[np.uint32], NDArray[np.uint16]]]:
    """What turns cells into labels (1 + index in the sequence) and counts."""
    if options.kind == SceneKind.NUCLEI:
        specimen = Specimen.draw(rng, options)

        def glowing(
            cells: Sequence[Cell],
        ) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
            nuclei = [cell for cell in cells if isinstance(cell, Nucleus)]
            labels, light = light_of(nuclei, specimen, options)
            return labels, exposed(rng, light, options.noise)

        return glowing
    optics = Optics.draw(rng, options)

    def dark(cells: Sequence[Cell]) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        spread = [cell for cell in cells if isinstance(cell, SpreadCell)]
        labels, grey = grey_of(spread, optics, options)
        return labels, photographed(rng, grey, options.noise)

    return dark


class _Culture:
    """Cells in and around the picture."""

    def __init__(self, rng: Generator, options: SceneOptions) -> None:
        self.rng = rng
        self.options = options
        size = options.object_size
        points = lattice(rng, options.shape_hw, size * 1.35, 0.35)
        share = 0.08 + 0.6 * options.density
        points = scattered(rng, points, options.shape_hw, share, 0.5)
        self.flow = float(rng.uniform(0, pi))
        self.cells = [self._living(self._cell(y, x)) for y, x in points]
        self.parents: list[int] = []  # parents[label - 1] is that label's

    def _cell(self, y: float, x: float) -> Cell:
        size = self.options.object_size
        if self.options.kind == SceneKind.NUCLEI:
            # All in focus: a nucleus that is haze in one frame would be in the next.
            return replace(random_nucleus(self.rng, y, x, size, 0.12), defocus=0)
        return random_cell(self.rng, y, x, size, self.flow)

    def _living(self, cell: Cell, parent: int = 0) -> _Living:
        return _Living(
            cell,
            self.rng.normal(0, SPEED * self.options.object_size, 2),
            float(self.rng.normal(0, 0.04)),
            # A first frame shows cells of any age.
            int(self.rng.integers(1, int(1.6 * DIVIDES_EVERY)))
            if not parent
            else int(
                self.rng.integers(int(0.7 * DIVIDES_EVERY), int(1.4 * DIVIDES_EVERY))
            ),
            cell.blob.radius,
            parent=parent,
        )

    def step(self) -> None:
        """Let a frame's time pass."""
        after: list[_Living] = []
        for living in self.cells:
            living.divides_in -= 1
            if living.divides_in <= 0:
                after += self._daughters(living)
            else:
                after.append(living)
        self._push_apart(after)
        for living in after:
            self._move(living)
        self.cells = after

    def _move(self, living: _Living) -> None:
        size = self.options.object_size
        drift = self.rng.normal(0, 0.6 * SPEED * size, 2)
        living.velocity_yx = 0.8 * living.velocity_yx + 0.6 * drift
        blob = living.cell.blob
        is_round = living.divides_in <= ROUNDS_UP
        wanted = living.radius * (0.8 if is_round else 1.0)
        moved = replace(
            blob,
            y=blob.y + float(living.velocity_yx[0]),
            x=blob.x + float(living.velocity_yx[1]),
            angle=blob.angle + living.turn,
            radius=blob.radius + 0.35 * (wanted - blob.radius),
            aspect=1 + (blob.aspect - 1) * (0.5 if is_round else 1.0),
        )
        living.cell = replace(living.cell, blob=moved)

    def _daughters(self, mother: _Living) -> list[_Living]:
        blob = mother.cell.blob
        # They part along the long axis of the mother, each half a cell away from it.
        angle = blob.angle
        born = []
        for side in (-1, 1):
            y = blob.y + side * sin(angle) * NEWBORN * mother.radius
            x = blob.x + side * cos(angle) * NEWBORN * mother.radius
            cell = self._cell(y, x)
            young = replace(
                cell.blob,
                radius=NEWBORN * mother.radius,
                aspect=1.15,
                angle=angle + pi / 2,
            )
            daughter = self._living(replace(cell, blob=young), mother.label)
            daughter.radius = mother.radius
            away = np.array([sin(angle), cos(angle)]) * side
            daughter.velocity_yx = away * SPEED * self.options.object_size * 1.5
            born.append(daughter)
        return born

    def _push_apart(self, cells: list[_Living]) -> None:
        """Cells that lie on each other move apart: none is swallowed."""
        if not cells:
            return
        positions = np.array([(each.cell.blob.y, each.cell.blob.x) for each in cells])
        radii = np.array([each.cell.blob.radius for each in cells])
        apart = positions[:, None] - positions[None, :]
        distance = np.sqrt((apart**2).sum(axis=-1)) + 1e-6
        overlap = np.maximum(0.85 * (radii[:, None] + radii[None, :]) - distance, 0)
        np.fill_diagonal(overlap, 0)
        shoves = (apart / distance[..., None] * overlap[..., None] * 0.25).sum(axis=1)
        for living, (dy, dx) in zip(cells, shoves.tolist(), strict=True):
            strength = min(
                1.0, 0.15 * self.options.object_size / (hypot(dy, dx) + 1e-6)
            )
            blob = living.cell.blob
            shoved = replace(blob, y=blob.y + dy * strength, x=blob.x + dx * strength)
            living.cell = replace(living.cell, blob=shoved)

    def named(self, painted: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """Turn indices of the sequence into lasting ids; forget cells that went."""
        areas = np.bincount(painted.ravel(), minlength=len(self.cells) + 1)
        lookup = np.zeros(len(self.cells) + 1, np.uint16)
        staying = []
        for index, living in enumerate(self.cells):
            is_shown = areas[index + 1] >= SMALLEST_COMPONENT
            if is_shown and not living.label:
                if len(self.parents) == 2**16 - 1:
                    raise SceneError(
                        f"A movie holds up to {2**16 - 1} tracks. Choose fewer "
                        "frames, or larger objects."
                    )
                self.parents.append(living.parent)
                living.label = len(self.parents)
            lookup[index + 1] = living.label if is_shown else 0
            # Who is not shown where it was born comes in later, as a stranger.
            living.parent = 0
            if is_shown or not living.label:
                staying.append(living)
        self.cells = staying
        return lookup[painted]


def _tracks(
    labels_thw: NDArray[np.uint16], parents: Sequence[int]
) -> NDArray[np.int64]:
    """Rows of id, first frame, last frame, parent."""
    shown = np.zeros((len(labels_thw), len(parents) + 1), bool)
    for frame, labels in enumerate(labels_thw):
        shown[frame, np.unique(labels)] = True
    first = shown.argmax(axis=0)
    last = len(shown) - 1 - shown[::-1].argmax(axis=0)
    rows = [
        (label, first[label], last[label], parent)
        for label, parent in enumerate(parents, start=1)
    ]
    return np.array(rows, np.int64).reshape(-1, 4)
