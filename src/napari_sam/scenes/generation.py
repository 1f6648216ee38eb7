"""One scene from its options, and scenes for ever from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import exp, log
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from napari_sam.errors import SceneError
from napari_sam.scenes.colony import draw_colony
from napari_sam.scenes.electron import draw_electron
from napari_sam.scenes.filaments import draw_filaments
from napari_sam.scenes.membranes import draw_membranes
from napari_sam.scenes.nuclei import draw_nuclei
from napari_sam.scenes.options import (
    SMALLEST_SIDE,
    Scene,
    SceneKind,
    SceneOptions,
)
from napari_sam.scenes.phase import draw_phase
from napari_sam.scenes.rods import draw_rods
from napari_sam.scenes.stain import draw_stain
from napari_sam.scenes.yeast import draw_yeast

_DRAWN_BY: Mapping[SceneKind, Callable[[Generator, SceneOptions], Scene]] = (
    MappingProxyType(
        {
            SceneKind.NUCLEI: draw_nuclei,
            SceneKind.MEMBRANES: draw_membranes,
            SceneKind.PHASE: draw_phase,
            SceneKind.STAIN: draw_stain,
            SceneKind.RODS: draw_rods,
            SceneKind.ELECTRON: draw_electron,
            SceneKind.FILAMENTS: draw_filaments,
            SceneKind.COLONY: draw_colony,
            SceneKind.YEAST: draw_yeast,
        }
    )
)
STREAM_SIZES = (8.0, 300.0)  # pixels; smaller and larger objects are rare in practice


def make_scene(options: SceneOptions) -> Scene:
    """Draw a scene; the same options give the same bytes."""
    return _DRAWN_BY[SceneKind(options.kind)](
        np.random.default_rng(options.seed), options
    )


def random_options(rng: Generator, size: int) -> SceneOptions:
    """Options of a square scene: kind, object size and the rest at random.

    Object sizes are log-uniform over `STREAM_SIZES`, up to 0.8 of the scene's side.
    """
    smallest, largest = STREAM_SIZES[0], min(STREAM_SIZES[1], 0.8 * size)
    object_size = exp(rng.uniform(log(smallest), log(max(largest, smallest))))
    # What is a few pixels across does not survive the blur that a large one does.
    blur = rng.uniform(0.3, 1.0) * min(0.6 + object_size / 40, 2.5)
    return SceneOptions(
        list(SceneKind)[int(rng.integers(len(SceneKind)))],
        (size, size),
        object_size,
        float(rng.uniform(0.1, 1.0)),
        float(rng.beta(1.3, 2.6)),
        float(blur),
        int(rng.integers(2**62)),
    )


def scene_stream(seed: int, size: int) -> Iterator[Scene]:
    """Scenes of `size` x `size` pixels for ever; the same seed draws the same ones.

    Raises
    ------
    SceneError
        At the call, for a size or a seed that no scene can have.
    """
    if size < SMALLEST_SIDE or seed < 0:
        raise SceneError(
            f"A stream of scenes needs a size of at least {SMALLEST_SIDE} pixels and a "
            f"seed of 0 or more, got size {size} and seed {seed}."
        )
    rng = np.random.default_rng(seed)
    return (make_scene(random_options(rng, size)) for _ in iter(int, 1))
