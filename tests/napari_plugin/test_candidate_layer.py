"""The candidate is drawn where it is, small, and in place of the one before."""

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_scene import candidate, image_in, seen, square

from napari_sam.geometry import Box
from napari_sam.napari_plugin.layers.candidate import (
    FILL,
    MOST_SIDE,
    OUTLINE,
    CandidatePresenter,
    fill_and_outline,
)
from napari_sam.napari_plugin.layers.placement import Placement


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def stack(viewer: ViewerModel) -> Placement:
    return image_in(viewer, "zcyx", (3, 2, 60, 80), scale=(4, 1, 0.5, 0.25))


@pytest.fixture
def layer(viewer: ViewerModel, stack: Placement) -> CandidatePresenter:
    drawn = CandidatePresenter(viewer, stack, "candidate")
    drawn.show()
    return drawn


def test_only_its_box_is_held_and_it_lies_over_the_image(
    layer: CandidatePresenter, stack: Placement
) -> None:
    layer.draw(candidate(square(10), Box(20, 30, 30, 40), (1,)))
    assert layer.layer.data.shape == (1, 2, 10, 10)
    expected = stack.layer.data_to_world((1, 0, 20, 30))
    assert layer.layer.data_to_world((0, 0, 0, 0)) == pytest.approx(expected)


def test_it_is_seen_in_its_plane_in_every_channel(
    viewer: ViewerModel, layer: CandidatePresenter
) -> None:
    layer.draw(candidate(square(10), Box(20, 30, 30, 40), (1,)))
    for channel in (0, 1):
        viewer.dims.current_step = (1, channel, 0, 0)
        assert seen(layer.layer).any()
    viewer.dims.current_step = (2, 0, 0, 0)
    assert not seen(layer.layer).any()


def test_it_has_a_fill_that_shows_the_image_and_a_full_outline(
    layer: CandidatePresenter,
) -> None:
    layer.draw(candidate(square(10), Box(20, 30, 30, 40), (1,)))
    drawn = layer.layer.data[0, 0]
    assert set(np.unique(drawn)) == {FILL, OUTLINE}
    assert (drawn[0] == OUTLINE).all()
    assert drawn[5, 5] == FILL
    fill, outline = (layer.layer.colormap.map(n) for n in (FILL, OUTLINE))
    assert 0 < fill[3] < 1
    assert outline[3] == 1


def test_another_candidate_takes_its_place_without_another_layer(
    viewer: ViewerModel, layer: CandidatePresenter
) -> None:
    first = layer.layer
    layer.draw(candidate(square(10), Box(20, 30, 30, 40), (1,)))
    layer.draw(candidate(square(4), Box(0, 0, 4, 4), (0,)))
    assert layer.layer is first
    assert first.data.shape == (1, 2, 4, 4)
    layer.draw(None)
    assert not np.asarray(first.data).any()
    assert len(viewer.layers) == 2


def test_a_large_one_is_drawn_coarser_at_the_same_place() -> None:
    viewer = ViewerModel()
    place = image_in(viewer, "yx", (5000, 5000))
    layer = CandidatePresenter(viewer, place, "candidate")
    layer.draw(candidate(square(4500), Box(100, 200, 4600, 4700)))
    drawn = layer.layer
    assert max(drawn.data.shape) <= MOST_SIDE
    low, high = np.array(drawn.data_to_world((-0.5, -0.5))), drawn.data.shape
    far = np.array(drawn.data_to_world([n - 0.5 for n in high]))
    np.testing.assert_allclose(low, (99.5, 199.5))
    np.testing.assert_allclose(far, (4599.5, 4699.5))


def test_a_thin_mask_is_all_outline() -> None:
    drawing, step = fill_and_outline(np.ones((1, 7), dtype=bool))
    assert (drawing == OUTLINE).all()
    assert step == 1


def test_nobody_paints_in_it(viewer: ViewerModel, layer: CandidatePresenter) -> None:
    layer.draw(candidate(square(10), Box(20, 30, 30, 40), (1,)))
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert not layer.layer.editable


def test_a_removed_layer_can_be_drawn_on_and_comes_back(
    viewer: ViewerModel, layer: CandidatePresenter
) -> None:
    viewer.layers.remove(layer.layer)
    layer.draw(candidate(square(10), Box(20, 30, 30, 40), (1,)))
    assert not layer.is_shown
    layer.show()
    assert layer.is_shown
    assert seen(layer.layer).any()
    layer.close()
    assert len(viewer.layers) == 1
