"""Prompts are drawn where they are, and told apart without colours."""

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_scene import image_in, square

from napari_sam.geometry import Box
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.napari_plugin.layers.prompts import PromptPresenter
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt

CLICKS = (Click(10.2, 20.9), Click(30, 40, positive=False))


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def flat(viewer: ViewerModel) -> Placement:
    return image_in(viewer, "yx", (60, 80), scale=(0.5, 0.5), translate=(7, 8))


@pytest.fixture
def prompts(viewer: ViewerModel, flat: Placement) -> PromptPresenter:
    layers = PromptPresenter(viewer, flat, "prompts")
    layers.show()
    return layers


def test_clicks_lie_on_the_centres_of_their_pixels(
    prompts: PromptPresenter, flat: Placement
) -> None:
    prompts.draw(CLICKS, ())
    np.testing.assert_array_equal(prompts.points.data, [(10, 20), (30, 40)])
    world = prompts.points.data_to_world(prompts.points.data[0])
    assert world == pytest.approx(flat.layer.data_to_world((10, 20)))


def test_signs_differ_in_colour_and_in_symbol(prompts: PromptPresenter) -> None:
    prompts.draw(CLICKS, ())
    positive, negative = prompts.points.symbol
    assert positive != negative
    assert not np.array_equal(*prompts.points.face_color)


def test_a_sign_that_changes_is_drawn_anew(prompts: PromptPresenter) -> None:
    prompts.draw(CLICKS, ())
    before = prompts.points.symbol.tolist()
    prompts.draw(CLICKS[::-1], ())
    assert prompts.points.symbol.tolist() == before[::-1]


def test_boxes_and_the_boxes_of_masks_are_rectangles(prompts: PromptPresenter) -> None:
    mask = MaskPrompt.from_mask(square(10), Box(40, 50, 50, 60))
    prompts.draw((BoxPrompt(1, 2, 11, 22), mask), ())
    first, second = prompts.boxes.data
    np.testing.assert_array_equal(first.min(axis=0), (0.5, 1.5))
    np.testing.assert_array_equal(first.max(axis=0), (10.5, 21.5))
    np.testing.assert_array_equal(second.min(axis=0), (39.5, 49.5))
    assert prompts.boxes.shape_type == ["rectangle"] * 2


def test_drawing_replaces_what_was_there(prompts: PromptPresenter) -> None:
    prompts.draw((*CLICKS, BoxPrompt(1, 2, 11, 22)), ())
    prompts.draw(CLICKS[:1], ())
    assert len(prompts.points.data) == 1
    assert prompts.boxes.data == []
    prompts.draw((), ())
    assert len(prompts.points.data) == 0


def test_a_prompt_is_in_its_plane_and_in_every_channel() -> None:
    viewer = ViewerModel()
    place = image_in(viewer, "zcyx", (4, 3, 60, 80))
    prompts = PromptPresenter(viewer, place, "prompts")
    prompts.draw((CLICKS[0], BoxPrompt(1, 2, 11, 22)), (2,))
    np.testing.assert_array_equal(
        prompts.points.data, [(2, channel, 10, 20) for channel in range(3)]
    )
    assert [set(shape[:, 0]) for shape in prompts.boxes.data] == [{2.0}] * 3
    assert [set(shape[:, 1]) for shape in prompts.boxes.data] == [{0.0}, {1.0}, {2.0}]


def test_users_cannot_move_them_by_hand(
    viewer: ViewerModel, prompts: PromptPresenter
) -> None:
    prompts.draw((*CLICKS, BoxPrompt(1, 2, 11, 22)), ())
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    for layer in (prompts.points, prompts.boxes):
        assert not layer.editable
        assert layer.mode == "pan_zoom"


def test_removed_layers_come_back_with_their_prompts(
    viewer: ViewerModel, prompts: PromptPresenter
) -> None:
    prompts.draw(CLICKS, ())
    viewer.layers.remove(prompts.points)
    assert not prompts.is_shown
    prompts.draw(CLICKS[:1], ())
    assert prompts.show() is prompts.points
    assert len(prompts.points.data) == 1
    prompts.close()
    assert len(viewer.layers) == 1


def test_they_follow_an_image_that_is_moved(
    prompts: PromptPresenter, flat: Placement
) -> None:
    prompts.draw(CLICKS, ())
    flat.layer.translate = (50, 60)
    prompts.follow(flat)
    np.testing.assert_array_equal(prompts.points.translate, (50, 60))
    np.testing.assert_array_equal(prompts.boxes.translate, (50, 60))
