"""What finished tiles look like before their seams are joined."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from islands_scene import BACKGROUND, COUNT, SHAPE, SQUARE, IslandsModel, squares

from napari_sam.annotator.run_merge import (
    RegionRequest,
    find_objects,
    run_location,
    run_plan,
)
from napari_sam.automatic.run import RunProgress
from napari_sam.geometry import Box
from napari_sam.napari_plugin.layers import found_pyramid
from napari_sam.napari_plugin.layers.found_pyramid import FoundPyramid
from napari_sam.session import Session


def test_each_tile_adds_its_objects_whole_and_once_at_every_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_pyramid, "COARSEST_SIDE", 256)
    drawn: list[FoundPyramid] = []
    counts = []

    def tell(progress: RunProgress) -> None:
        if progress.tile is None:
            return
        if not drawn:
            plan, place = run_plan(session), run_location(session)
            folder = tmp_path / "preview"
            drawn.append(FoundPyramid.make(folder, place.run_folder, plan, (2,)))
        drawn[0].draw(progress.tile)
        counts.append(len(np.unique(drawn[0].levels[0])) - 1)

    stack = np.stack([squares(), squares(3)])
    request = RegionRequest(((1,),), Box.of_shape(SHAPE), SQUARE)
    with Session(stack, tmp_path / "labels.ome.zarr", IslandsModel()) as session:
        find_objects(session, request, tell, lambda _: None)
    levels = [np.asarray(level) for level in drawn[0].levels]
    assert [level.shape for level in levels] == [
        (2, 256, 1024),
        (2, 128, 512),
        (2, 64, 256),
    ]
    assert not levels[0][0].any()
    np.testing.assert_array_equal(levels[0][1] > 0, squares(3) > BACKGROUND)
    # Every square has an id of its own, and one only.
    assert len(counts) == 4
    assert counts == sorted(set(counts))
    assert counts[-1] == COUNT
    ids = levels[0][1][squares(3) > BACKGROUND].reshape(-1)
    assert np.bincount(ids)[np.unique(ids)].tolist() == [SQUARE**2] * COUNT
    for finer, coarser in pairwise(levels):
        np.testing.assert_array_equal(coarser, finer[:, ::2, ::2])
