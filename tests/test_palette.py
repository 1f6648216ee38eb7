"""One list of colours for every picture of the objects."""

from __future__ import annotations

import numpy as np

from napari_sam.palette import CANDIDATE, PALETTE, colour_of, colours_of


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))


def test_an_id_has_the_same_colour_alone_and_in_a_picture() -> None:
    label_ids = np.arange(1, 3 * len(PALETTE), dtype=np.uint32).reshape(1, -1)
    colours = colours_of(label_ids)
    assert colours.shape == (*label_ids.shape, 3)
    assert [tuple(colour) for colour in colours[0]] == [
        colour_of(int(label_id)) for label_id in label_ids[0]
    ]


def test_no_object_looks_like_the_candidate() -> None:
    assert min(distance(colour, CANDIDATE) for colour in PALETTE) > 40


def test_objects_that_follow_each_other_are_told_apart() -> None:
    following = zip(PALETTE, PALETTE[1:] + PALETTE[:1], strict=True)
    assert min(distance(*pair) for pair in following) > 60
    assert len(set(PALETTE)) == len(PALETTE) > 100
