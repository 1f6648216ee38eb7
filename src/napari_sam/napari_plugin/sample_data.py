"""Images to try the plugin on: generated scenes, and a photograph.

They need no network, and are the same each time. The slide is drawn where it is looked
at: opening it costs nothing but a list of its chunks.
"""

from __future__ import annotations

from typing import Any

from skimage import data

LayerData = tuple[Any, dict[str, Any], str]

SLIDE_SIDE = 16_384
SLIDE_CHUNK = 512
SLIDE_LEVELS = 6

STACK_DEPTH = 24
STACK_SIDE = 256
MOVIE_FRAMES = 20
MOVIE_SIDE = 256

DARK, BRIGHT = 100, 3500
"""Contrast limits of the generated scenes: the camera's offset, and most nuclei."""


def slide() -> list[LayerData]:
    """A slide of fluorescent nuclei, with a pyramid, lazy."""
    from napari_sam.scenes import SlideOptions, lazy_slide  # noqa: PLC0415

    options = SlideOptions((SLIDE_SIDE, SLIDE_SIDE), object_size=28, seed=1)
    levels = [
        lazy_slide(options, SLIDE_CHUNK, step=2**level)[0]
        for level in range(SLIDE_LEVELS)
    ]
    facts = {
        "name": "slide of nuclei",
        "multiscale": True,
        "scale": (0.5, 0.5),
        "units": ("micrometer",) * 2,
        "axis_labels": ("y", "x"),
        "contrast_limits": (DARK, BRIGHT),
    }
    return [(levels, facts, "image")]


def stack() -> list[LayerData]:
    """A stack in z of nuclei."""
    from napari_sam.scenes import (  # noqa: PLC0415
        SceneKind,
        SceneOptions,
        make_stack,
    )

    options = SceneOptions(SceneKind.NUCLEI, (STACK_SIDE, STACK_SIDE), seed=2)
    facts = {
        "name": "stack of nuclei",
        "scale": (2.0, 0.5, 0.5),
        "units": ("micrometer",) * 3,
        "axis_labels": ("z", "y", "x"),
        "contrast_limits": (DARK, BRIGHT),
    }
    return [(make_stack(options, STACK_DEPTH).pixels, facts, "image")]


def movie() -> list[LayerData]:
    """A time-lapse of nuclei that wander and divide."""
    from napari_sam.scenes import (  # noqa: PLC0415
        SceneKind,
        SceneOptions,
        make_movie,
    )

    options = SceneOptions(
        SceneKind.NUCLEI, (MOVIE_SIDE, MOVIE_SIDE), density=0.3, seed=2
    )
    facts = {
        "name": "wandering nuclei",
        "scale": (300.0, 0.65, 0.65),
        "units": ("second", "micrometer", "micrometer"),
        "axis_labels": ("t", "y", "x"),
        "contrast_limits": (DARK, BRIGHT),
    }
    return [(make_movie(options, MOVIE_FRAMES).pixels, facts, "image")]


def coins() -> list[LayerData]:
    """A photograph of ancient coins: round things on a dark ground, as cells are."""
    pixels = data.coins()  # type: ignore[no-untyped-call]
    return [(pixels, {"name": "coins"}, "image")]
