"""The layer's pixels, the image's pixels and the world mean the same place."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam.napari_plugin.layers.placement import Placement


def placed(axes: str, shape: tuple[int, ...], **transform: object) -> Placement:
    return Placement(Image(np.zeros(shape, np.uint8), **transform), axes)


TRANSFORMS = {
    "plain": {},
    "scaled and moved": {"scale": (2, 3, 0.5, 0.25), "translate": (1, 2, 30, 40)},
    "affine": {"scale": (1, 1, 0.5, 0.5), "affine": np.diag([1, 1, 4, 5, 1.0])},
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_point_of_the_image_comes_back_from_the_world(
    transform: dict[str, object],
) -> None:
    place = placed("tzyx", (4, 3, 20, 30), **transform)
    world = place.world_at((2, 1), (3.5, 7.25))
    assert place.yx_at(world) == pytest.approx((3.5, 7.25))
    assert place.plane_at(world) == (2, 1)


def test_the_layers_first_pixel_is_the_images_from_0_to_1() -> None:
    place = placed("yx", (20, 30))
    assert place.yx_at((0, 0)) == (0.5, 0.5)
    assert place.yx_at((-0.5, 29.4)) == pytest.approx((0, 29.9))


def test_a_channel_slider_is_no_part_of_the_plane() -> None:
    place = placed("tczyx", (4, 2, 3, 20, 30))
    assert place.stack_axes == "tz"
    assert place.plane_at((3, 1, 2, 0, 0)) == (3, 2)
    assert place.channel_at((3, 1, 2, 0, 0)) == 1
    assert place.channel_count == 2


def test_sliders_beyond_the_image_show_no_plane() -> None:
    place = placed("zyx", (3, 20, 30), translate=(5, 0, 0))
    assert place.plane_at((5, 0, 0)) == (0,)
    assert place.plane_at((4, 0, 0)) is None
    assert place.plane_at((8, 0, 0)) is None


def test_a_viewer_with_more_dimensions_counts_from_its_last_ones() -> None:
    place = placed("zyx", (3, 20, 30))
    assert place.plane_at((99, 2, 4, 5)) == (2,)
    assert place.yx_at((99, 2, 4, 5)) == (4.5, 5.5)
    assert place.is_plane_displayed((2, 3), ndim=4)


def test_a_rolled_view_and_3d_are_not_the_plane() -> None:
    viewer = ViewerModel()
    place = Placement(viewer.add_image(np.zeros((3, 20, 30))), "zyx")
    dims = viewer.dims
    assert place.is_plane_displayed(dims.displayed, dims.ndim)
    dims.roll()
    assert not place.is_plane_displayed(dims.displayed, dims.ndim)
    dims.reset()
    dims.ndisplay = 3
    assert not place.is_plane_displayed(dims.displayed, dims.ndim)


@pytest.mark.parametrize("step", [1, 2])
def test_a_crop_with_the_transform_lies_over_its_pixels(step: int) -> None:
    place = placed("zyx", (3, 20, 30), scale=(2, 0.5, 0.25), translate=(7, 8, 9))
    origin = np.array([1, 5, 6])
    crop = Image(np.zeros((1, 4, 4)), **place.transform(origin, step))
    expected = place.layer.data_to_world((1, 5 + 2 * step, 6 + 3 * step))
    assert crop.data_to_world((0, 2, 3)) == pytest.approx(expected)


def test_a_crop_of_a_turned_image_lies_over_its_pixels() -> None:
    place = placed("yx", (20, 30), scale=(0.5, 0.25), rotate=30, translate=(3, 4))
    crop = Image(np.zeros((3, 3)), **place.transform(np.array([5, 6])))
    expected = place.layer.data_to_world((6, 8))
    assert crop.data_to_world((1, 2)) == pytest.approx(expected)
